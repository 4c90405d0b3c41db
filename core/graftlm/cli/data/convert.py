"""``graftlm data convert``."""

from __future__ import annotations

from pathlib import Path

import click

from .reading import ReadingOptions, find_inputs, how_to_read, reading_options


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
    """Write DATA in another format. What the format cannot say is refused, never dropped."""
    from graftlm.contracts.conversation import Conversation
    from graftlm.contracts.errors import DataError, UsageError
    from graftlm.contracts.specs import DataFormat
    from graftlm.data.containers.writing import open_writer
    from graftlm.data.conversations import Fault, Faults, read
    from graftlm_registry.plugins import registry

    wanted = registry().get(DataFormat, target)
    if wanted.write is None:
        writable = ", ".join(f.name for f in registry().all(DataFormat) if f.write is not None)
        raise UsageError(f"the format '{wanted.name}' can be read, not written: choose one of {writable}")
    inputs = find_inputs(data, split, offline)
    reading = how_to_read(inputs, ReadingOptions(format, columns, split, offline))
    faults, rows = Faults(), 0
    with open_writer(out) as writer:
        for row in read(inputs, reading):
            if not isinstance(row, Conversation):
                faults.add(row)
                continue
            try:
                record = dict(wanted.write(row))
            except DataError as error:
                faults.add(Fault(row.source, str(error)))
                continue
            writer.write(record | ({"capability": row.capability} if row.capability else {}))
            rows += 1
        faults.check()
        if not rows:
            raise DataError(f"{inputs.reference} has no records")
    click.echo(f"{rows} rows of {reading.data_format.name} written to {out} as {wanted.name}")
