"""``graftlm bench report``."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and nothing else.")
def report(folder: Path, as_json: bool) -> None:
    """Write report.md, report.html and report.json of the results in FOLDER."""
    from graftlm.cli.bench.tell import results_table
    from graftlm.comparing.report.files import write_report

    made, written = write_report(folder)
    if as_json:
        click.echo(json.dumps(made.to_builtins()))
        return
    click.echo(results_table(made))
    click.echo(f"\nwritten: {', '.join(map(str, written))}")
