"""``graftlm runs rm``."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from graftlm_registry.runs import Run

DAY = 86_400.0
SHOWN = 8


@click.command()
@click.argument("runs", nargs=-1, metavar="RUN...")
@click.option(
    "--older-than", type=click.FloatRange(0), metavar="DAYS", help="Those whose last sign of life is longer ago."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(runs: tuple[str, ...], older_than: float | None, yes: bool) -> None:
    """Remove the folders of runs: what they printed, their pictures, samples and checkpoints.

    An adapter that came of one stays. One that is running is not removed.
    """
    from graftlm.contracts.errors import UsageError
    from graftlm_registry.runs import find_run, status_of

    from ..asking import ask_first
    from ..tables import size

    if bool(runs) == (older_than is not None):
        raise UsageError("give runs to remove, or --older-than DAYS")
    if older_than is None:
        found = list(dict.fromkeys(map(find_run, runs)))
    else:
        if not math.isfinite(older_than):
            raise UsageError(f"--older-than {older_than}: give a number of days")
        found = _older(older_than)
        if not found:
            click.echo(f"no run is older than {older_than:g} days")
            return
    if running := [run.name for run in found if status_of(run).state == "running"]:
        raise UsageError(
            f"{', '.join(running)} {'is' if len(running) == 1 else 'are'} running, and nothing was removed: "
            f"graftlm runs stop {running[0]}"
        )
    if not yes:
        for line in _lost(found):
            click.echo(line, err=True)
        ask_first(f"remove {_names(found)}?", "nothing was removed")
    freed = sum(_remove(run) for run in found)
    click.echo(f"removed {found[0].name if len(found) == 1 else f'{len(found)} runs'}: {size(freed)} freed")


def _older(days: float) -> list[Run]:
    """Those that are not running."""
    from graftlm.running.glance import glance
    from graftlm_registry.runs import all_runs

    latest = time.time() - days * DAY
    return [g.run for g in map(glance, all_runs()) if g.status.state != "running" and g.time < latest]


def _names(found: list[Run]) -> str:
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(run.name for run in found[:SHOWN]) + more


def _lost(found: list[Run]) -> Iterator[str]:
    """What goes with them, in sentences."""
    from graftlm_registry.runs import status_of

    done = [run for run in found if status_of(run).state == "done"]
    left = [run for run in found if run not in done]
    if done:
        yield (
            f"finished: {_names(done)}. Their adapters stay, but 'graftlm repair' of one needs its run's folder, and "
            "the answers to its test rows are there alone"
        )
    if left:
        yield f"not finished: {_names(left)}. What was removed cannot be gone on with"


def _remove(run: Run) -> int:
    """Bytes that were freed. It is locked, so that nobody begins to go on with it meanwhile."""
    from graftlm.contracts.errors import UsageError
    from graftlm_registry.runs.supervisor import supervising, worker_is_there
    from graftlm_registry.runs.usage import freed_by

    with supervising(run.folder):
        if worker_is_there(run.folder):
            raise UsageError(f"the worker of {run.name} is just leaving: try again in a moment")
        freed = freed_by([run.folder])
        run.remove()
    return freed
