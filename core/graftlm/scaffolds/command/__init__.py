"""Acme's command for graftlm: ``graftlm acme FILE`` says how long the texts in a file of rows are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from graftlm.api import Command, DataError, UsageError, hookimpl

# Every command of graftlm imports this module: what is heavy is imported in the function that needs it.


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--field", default="", metavar="NAME", help="Only the texts of this field.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(file: Path, field: str, as_json: bool) -> None:
    """Say how long the texts of FILE are, a JSONL file of rows."""
    lengths = sorted(map(len, texts(file, field)))
    if not lengths:
        raise DataError(f"{file} has no texts" + (f" in a field {field}" if field else ""))
    found = {"texts": len(lengths), "median": lengths[len(lengths) // 2], "longest": lengths[-1]}
    if as_json:
        click.echo(json.dumps(found))
        return
    for name, value in found.items():
        click.echo(f"{name:<8} {value:,}")


def texts(file: Path, field: str) -> Iterator[str]:
    """Every text of every row, or those of one field."""
    # What a user can mend is a GraftlmError: graftlm shows its sentence and no traceback, and leaves with exit code 2.
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        try:
            row: Any = json.loads(line)
        except ValueError as error:
            raise DataError(f"{file}:{number} is no JSON: {error}") from None
        if not isinstance(row, dict):
            raise DataError(f"{file}:{number} is no row, which is an object with fields")
        yield from (value for name, value in row.items() if isinstance(value, str) and field in ("", name))


@hookimpl
def graftlm_commands() -> Iterable[Command]:
    # with group="config" it would be 'graftlm config acme'
    yield Command(
        name="acme",
        summary="Say how long the texts of FILE are",
        target="graftlm_acme:main",
        suite="graftlm_acme.conformance:AcmeSuite",
    )
