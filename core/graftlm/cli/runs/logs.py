"""``graftlm runs logs``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path

    from graftlm_registry.runs import Run

    from ..progress import Progress

POLL = 0.2
"""Seconds between looks at a run that is followed."""


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--follow", "-f", is_flag=True, help="Go on until the run ends.")
@click.option("--events", is_flag=True, help="Its events instead, one JSON object a line.")
def logs(run: str, follow: bool, events: bool) -> None:
    """What libraries printed while a run was carried out, or its events.

    With --follow, a run that is running shows what it would show in its own terminal. Ctrl-C ends the watching, not the
    run.
    """
    from graftlm.running.worker_process import LOG
    from graftlm_registry.runs import find_run

    found = find_run(run)
    file = found.folder / ("events.jsonl" if events else LOG)
    try:
        if follow:
            _follow(found, file, events)
        elif not _copied(Tail(file)) and not events:
            click.echo("its libraries printed nothing (--events shows what happened)", err=True)
    except KeyboardInterrupt:
        if follow and found.supervisor() is not None:
            click.echo(f"\n{found.name} goes on; to stop it: graftlm runs stop {found.name}", err=True)
        raise


class Tail:
    """The whole lines that were added to a file since the last look; it need not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path, self._place = path, 0

    def lines(self, *, rest: bool = False) -> Iterator[bytes]:
        """``rest``: what has no line end yet, too."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._place)
                for line in file:
                    if line.endswith(b"\n") or rest:
                        self._place += len(line)
                        yield line
        except FileNotFoundError:
            return


def _follow(run: Run, file: Path, events: bool) -> None:
    from ..progress import Progress

    shown, told = Tail(file), Tail(run.folder / "events.jsonl")
    with Progress(quiet=events) as progress:
        running = True
        while running:
            running = run.supervisor() is not None  # before the last look: nothing comes after it
            _copied(shown, progress, rest=not running)
            for line in told.lines() if not events else ():
                event = _event(line)
                if event is not None:
                    progress.on_event(event)
            if running:
                time.sleep(POLL)
    if not events:
        _tell_the_end(run)


def _copied(tail: Tail, progress: Progress | None = None, *, rest: bool = True) -> bool:
    """Whether there was anything. A terminal is given nothing that it would obey."""
    from ..terminal import visible

    found = False
    for line in tail.lines(rest=rest):
        if progress is not None and not found:
            progress.clear()
        found = True
        if sys.stdout.isatty():
            text = line.decode(errors="replace").rstrip("\r\n").rpartition("\r")[2]  # what a moving line came to
            click.echo(visible(text))
        else:
            sys.stdout.buffer.write(line)
    sys.stdout.flush()
    return found


def _event(line: bytes) -> dict[str, object] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _tell_the_end(run: Run) -> None:
    """As ``train`` tells it."""
    from graftlm.running.finished import trained_of
    from graftlm.running.standing import standing
    from graftlm_registry.runs import status_of

    from ..results import outcome_text

    status = status_of(run)
    if status.state == "done":
        trained = trained_of(run)
        click.echo(outcome_text(trained) if trained else f"{run.name} is done; its adapter was removed since")
        return
    why = f": {status.ending.message}" if status.ending and status.ending.message else ""
    click.echo(f"{run.name} is {status.state}{why}", err=True)
    if status.resumable:
        click.echo(f"it goes on {standing(run)}: graftlm runs resume {run.name}", err=True)
