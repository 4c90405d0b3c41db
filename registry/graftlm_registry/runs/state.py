"""What has become of a run: read off its lock and its files each time, so that nothing can be out of date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from .ending import Ending
from .folder import Run
from .supervisor import Supervisor

State = Literal["running", "done", "stopped", "failed", "lost"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, slots=True)
class Status:
    """``running``: its lock is held, by ``supervisor``. ``done``: its adapter is kept. ``stopped`` and ``failed``: as
    its last supervisor wrote down in ``ending``. ``lost``: nobody wrote anything, as its supervisor was killed, or the
    machine went down. The last three are ``resumable`` where what that needs is there: a worker that failed before it
    had done anything would do so again.
    """

    state: State
    supervisor: Supervisor | None = None
    ending: Ending | None = None
    resumable: bool = False


def status_of(run: Run) -> Status:
    """What it is now. An ending is written while the lock is held: without a lock, it is the last word."""
    if found := run.supervisor():
        return Status("running", found)
    ending = run.ending()
    if run.finished:
        return Status("done", ending=ending)
    resumable = (run.folder / "data").is_dir()
    if ending is not None:
        return Status(ending.state, ending=ending, resumable=resumable)
    if found := run.supervisor():  # it took the lock, and put the old ending away, just now
        return Status("running", found)
    return Status("lost", resumable=resumable)
