"""``graftlm bench diff``."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--threshold", type=float, default=0.03, show_default=True, help="Smallest change for the worse that counts."
)
@click.option("--json", "as_json", is_flag=True, help="Print the changes as JSON, and nothing else.")
def diff(old: Path, new: Path, threshold: float, as_json: bool) -> None:
    """Compare two folders of results (or report.json files). Exit code 3 where something got worse, noise aside."""
    from graftlm.cli.tables import table
    from graftlm.comparing.regressions import compare_reports, differs_in
    from graftlm.comparing.report.files import report_of
    from graftlm.contracts.serial import to_builtins

    before, after = report_of(old), report_of(new)
    changes = compare_reports(before, after, threshold)
    apart = differs_in(before, after)
    if as_json:
        click.echo(json.dumps({"changes": to_builtins(changes), "differs_in": apart}))
    else:
        for sentence in apart:
            click.echo(f"{click.style('note', fg='yellow')}: {sentence}")
        worse = {True: "red", False: None}
        rows = [
            (c.cell, c.measure.replace("_", " "), click.style(f"{c.verdict}: {c.said}", fg=worse[c.is_regression]))
            for c in changes
        ]
        click.echo(table(rows, ("cell", "measure", "verdict")) if rows else "nothing to compare: no cell is in both")
    if any(change.is_regression for change in changes):
        raise click.exceptions.Exit(3)
