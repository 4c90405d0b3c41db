"""``graftlm runs stop``."""

from __future__ import annotations

import time
from pathlib import Path

import click

POLL = 0.1
WORD_EVERY = 5.0
"""Seconds."""


@click.command()
@click.argument("run", metavar="RUN")
def stop(run: str) -> None:
    """Stop a run that is running, in whatever terminal or in none, and wait until it has left.

    It keeps a checkpoint of its last finished step. Where it takes too long, the same command once more ends it at
    once; it then goes on from an earlier checkpoint.
    """
    from graftlm.contracts.errors import UsageError
    from graftlm.running.standing import standing
    from graftlm_registry.runs import find_run, status_of
    from graftlm_registry.runs.supervisor import stop_supervisor

    found = find_run(run)
    asked = stop_supervisor(found.folder)
    if asked is None:
        raise UsageError(f"run {found.name} is not running: it is {status_of(found).state}")
    _wait(found.folder, asked.process)
    status = status_of(found)
    if status.state == "done":
        click.echo(f"{found.name} was just finished: graftlm runs show {found.name}")
        return
    why = f": {status.ending.message}" if status.state == "failed" and status.ending else ""
    click.echo(f"{found.name} is {status.state}{why}")
    if status.resumable:
        click.echo(f"it goes on {standing(found)}: graftlm runs resume {found.name}")


def _wait(folder: Path, process: int) -> None:
    """Until this process has let the lock go."""
    from graftlm_registry.runs.supervisor import supervisor_of

    began = told = time.monotonic()
    while (held := supervisor_of(folder)) is not None and held.process == process:
        if time.monotonic() - told >= WORD_EVERY:
            told = time.monotonic()
            click.echo(
                f"process {process} is leaving ({told - began:.0f} s): it ends its micro-batch and saves what it has",
                err=True,
            )
        time.sleep(POLL)
