"""``graftlm data mix``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from .reading import ReadingOptions, find_inputs, how_to_read, reading_options


@click.command()
@click.argument("data", nargs=-1, required=True, metavar="DATA=WEIGHT…")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new file (.jsonl, .jsonl.gz, …).")
@click.option("--rows", type=int, metavar="N", help="Rows of the mixture [default: as many as repeat none].")
@click.option("--seed", default=0, show_default=True, metavar="N", help="Of the choice of rows.")
@reading_options
def mix(
    data: tuple[str, ...], out: Path, rows: int | None, seed: int, format: str, columns: str, split: str, offline: bool
) -> None:
    """Mix several data sets by weight: a.jsonl=2 b.jsonl=1 takes two rows of a for each of b.

    Each row names the capability that it teaches (the file's name, or its own 'capability'); a training run on the
    mixture scores each of them.
    """
    from graftlm.cli.tables import table
    from graftlm.contracts.errors import DataError, UsageError
    from graftlm.contracts.specs import DataFormat
    from graftlm.data.containers.writing import open_writer
    from graftlm.data.mixing import Part, capability_of, mixed, parse_weight
    from graftlm_registry.plugins import registry

    if rows is not None and rows < 1:
        raise UsageError("--rows must be at least 1")
    parts = []
    for reference, weight in map(parse_weight, data):
        inputs = find_inputs(reference, split, offline)
        reading = how_to_read(inputs, ReadingOptions(format, columns, split, offline))
        parts.append(Part(inputs, reading, weight, capability_of(reference)))
    names = Counter(part.capability for part in parts)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice:
        raise UsageError(f"two data sets are named '{twice}', and their rows could not be told apart: rename one")
    documents = {part.reading.data_format.documents for part in parts}
    if len(documents) > 1:
        raise DataError("texts without turns and conversations cannot stand in one file: train on one after the other")
    target = registry().get(DataFormat, "text" if documents == {True} else "openai")
    assert target.write is not None
    counts: Counter[str] = Counter()
    with open_writer(out) as writer:
        for row in mixed(parts, rows, seed):
            writer.write({**target.write(row), "capability": row.capability})
            counts[row.capability] += 1
    total = counts.total()
    click.echo(table([(n, str(c), f"{c / total:.0%}") for n, c in counts.items()], ("capability", "rows", "share")))
    click.echo(f"\n{total} rows written to {out}")
