"""``graftlm runs list``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from graftlm.running.glance import Glance

STATES = ("running", "done", "stopped", "failed", "lost")


@click.command("list")
@click.option("--state", type=click.Choice(STATES), help="Those in this state alone.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_(state: str | None, as_json: bool) -> None:
    """Every run, the newest first.

    running: a process carries it out. done: its adapter is kept. stopped, failed: 'runs show' says why. lost: its
    process was killed, or the machine went down. The last three can be gone on with (graftlm runs resume).
    """
    from graftlm.cli.tables import size, table
    from graftlm.running.glance import glance, moment
    from graftlm_registry.runs import all_runs

    found = [each for each in map(glance, all_runs()) if state in (None, each.status.state)]
    if as_json:
        click.echo(json.dumps([_as_json(each) for each in found]))
        return
    if not found:
        click.echo(f"no run is {state}" if state else "no runs yet: graftlm train DATA --model M")
        return
    rows = [
        (
            each.run.name,
            each.status.state,
            each.adapter,
            each.model,
            f"{each.step:,} of {each.steps:,}",
            "" if each.loss is None else f"{each.loss:.4f}",
            size(each.bytes) if each.bytes else "",
            moment(each.time),
        )
        for each in found
    ]
    click.echo(table(rows, ("run", "state", "adapter", "model", "steps", "loss", "to go on", "last sign (UTC)")))


def _as_json(each: Glance) -> dict[str, object]:
    return {
        "run": each.run.name,
        "folder": str(each.run.folder),
        "state": each.status.state,
        "adapter": each.adapter,
        "model": each.model,
        "step": each.step,
        "steps": each.steps,
        "loss": each.loss,
        "time": round(each.time, 3),
        "bytes": each.bytes,
    }
