"""A run that no terminal shows: started, and told how to reach it."""

from __future__ import annotations

import json

import click

from graftlm.running.detached import start_detached
from graftlm_registry.runs import Run

from .tables import table


def start_and_tell(run: Run, *, as_json: bool) -> None:
    """It goes on when this process and its terminal are gone."""
    supervisor = start_detached(run)
    process = supervisor.process if supervisor else None
    if as_json:
        click.echo(json.dumps({"run": run.name, "folder": str(run.folder), "process": process}))
        return
    if process is None:
        click.echo(f"{run.name} is finished already: graftlm runs show {run.name}")
        return
    click.echo(f"{run.name} goes on as process {process}, whatever becomes of this terminal")
    rows = [
        ("watch it", f"graftlm runs logs --follow {run.name}"),
        ("stop it", f"graftlm runs stop {run.name}"),
        ("go on, once stopped", f"graftlm runs resume {run.name}"),
    ]
    click.echo(table(rows))
