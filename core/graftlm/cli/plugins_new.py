"""``graftlm plugins new``: a distribution of one's own, with a plugin in it that works."""

from __future__ import annotations

import shlex
from pathlib import Path

import click


@click.command()
@click.argument("kind")
@click.argument("name")
@click.option(
    "--into", type=click.Path(path_type=Path), default=Path(), metavar="DIR", help="Where to write it (default: here)."
)
def new(kind: str, name: str, into: Path) -> None:
    """Write a plugin of your own to start from.

    It is graftlm-NAME, a distribution with an example of its KIND that works, tests and a CI file. KIND is
    format, template, source, family, quantization, accelerator, method, optimizer, backend, evaluator, tracker or
    command. Nothing is written over.
    """
    from graftlm.contracts.errors import UsageError
    from graftlm.scaffolds.writing import write

    from . import COMMANDS

    if kind == "command" and name in COMMANDS:
        raise UsageError(f"command '{name}' would be a duplicate: graftlm has it; choose another name")
    folder = write(kind, name, into)
    place = str(folder) if folder.is_absolute() else f"./{folder}"
    click.echo(f"{folder} holds a working {kind}: make it yours. To go on:\n")
    click.echo(f"  pip install -e {shlex.quote(f'{place}[test]')}")
    click.echo(f"  pytest {shlex.quote(place)}")
    click.echo(f"  graftlm plugins check {kind}/{name}")
