"""``graftlm data convert``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .reading import ReadingOptions, find_inputs, how_to_read, reading_options

if TYPE_CHECKING:
    from graftlm.checking.fields import FieldUse
    from graftlm.contracts.specs import DataFormat
    from graftlm.data.conversations import Reading
    from graftlm.data.inputs import Inputs


@click.command()
@click.argument("data")
@click.option("--as", "target", required=True, metavar="NAME", help="The format to write: alpaca, sharegpt, openai, …")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="A new file; its ending says its kind (.jsonl .json .csv .tsv .parquet, and .gz .zst).",
)
@reading_options
def convert(data: str, target: str, out: Path, format: str, columns: str, split: str, offline: bool) -> None:
    """Write DATA in another format. What the format cannot say is refused, never dropped; fields that DATA's own format
    does not read are named, but for ids and the like.
    """
    from graftlm.checking.fields import FieldUse
    from graftlm.contracts.errors import DataError, UsageError
    from graftlm.contracts.specs import DataFormat
    from graftlm.data.containers.writing import open_writer
    from graftlm_registry.plugins import registry

    wanted = registry().get(DataFormat, target)
    if wanted.write is None:
        writable = ", ".join(f.name for f in registry().all(DataFormat) if f.write is not None)
        raise UsageError(f"the format '{wanted.name}' can be read, not written: choose one of {writable}")
    inputs = find_inputs(data, split, offline)
    reading = how_to_read(inputs, ReadingOptions(format, columns, split, offline))
    rows, use = 0, FieldUse(reading.data_format)
    with open_writer(out) as writer:
        columns_of_all = _fields(inputs, reading, wanted, out)
        for record, source in _records(inputs, reading, wanted, use):
            try:
                writer.write(columns_of_all | record)
            except DataError as error:
                raise DataError(f"{source}: {error}") from None
            rows += 1
        if not rows:
            raise DataError(f"{inputs.reference} has no records")
    click.echo(f"{rows} rows of {reading.data_format.name} written to {out} as {wanted.name}")
    unread = ", ".join(f"{field.name} ({field.rows} rows)" for field in use.unused() if not field.about)
    if unread:
        click.echo(f"Warning: not written, since {reading.data_format.name} does not read them: {unread}", err=True)


def _records(
    inputs: Inputs, reading: Reading, wanted: DataFormat, use: FieldUse | None = None
) -> Iterator[tuple[dict[str, Any], str]]:
    """Each row as the format writes it, and its place; ``DataError`` with the first faults together."""
    from graftlm.contracts.conversation import Conversation
    from graftlm.contracts.errors import DataError
    from graftlm.data.conversations import Fault, Faults, read_both

    assert wanted.write is not None
    faults = Faults()
    for row, given in read_both(inputs, reading):
        if use is not None:
            use.add(given, row)
        if not isinstance(row, Conversation):
            faults.add(row)
            continue
        try:
            record = dict(wanted.write(row))
        except DataError as error:
            faults.add(Fault(row.source, str(error)))
            continue
        yield record | ({"capability": row.capability} if row.capability else {}), row.source
    faults.check()


def _fields(inputs: Inputs, reading: Reading, wanted: DataFormat, out: Path) -> dict[str, str]:
    """The columns of a table, which must be known before its first row, each empty."""
    from graftlm.data.containers import kind_of

    kind = kind_of(out)
    if kind is None or kind.content not in ("csv", "tsv"):
        return {}
    return {name: "" for record, _ in _records(inputs, reading, wanted) for name in record}
