"""A run's folder under ``$GRAFTLM_HOME/runs``, and how one is picked.

::

    plan.json, job.json      what is to be done
    lock                     held by whoever supervises it; who that is stands in it
    worker                   held by the worker that is at work
    ended.json               how its last supervisor left it, unless that was killed
    events.jsonl, log.txt    what happened, and what libraries printed
    data/ encoded/ initial/ scratch/ staged/   what the run works on, gone once its adapter is kept
    checkpoints/             see ``checkpoints``
    trackers/                a folder for each tracker
    outcome.json, summary.json, loss.png, loss.svg, samples/   what came of it
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from graftlm.contracts.errors import StoreError, UsageError
from graftlm.contracts.outcome import Outcome
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import from_json

from ..home import home
from ..suggestions import unknown
from .checkpoints import Checkpoints
from .ending import Ending, read_ending
from .supervisor import Supervisor, supervisor_of

WORK = ("data", "encoded", "initial", "scratch", "staged", "checkpoints")
"""What is needed to go on, and nothing else."""
LAST = "last"
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Run:
    """A run by its folder. ``name`` is unique under this home."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    def plan(self) -> Plan:
        return from_json((self.folder / "plan.json").read_bytes(), Plan, f"the plan of run {self.name}")

    def outcome(self) -> Outcome | None:
        """None until its adapter is kept."""
        path = self.folder / "outcome.json"
        return from_json(path.read_bytes(), Outcome, f"the outcome of run {self.name}") if path.is_file() else None

    def ending(self) -> Ending | None:
        return read_ending(self.folder)

    def supervisor(self) -> Supervisor | None:
        """The process that carries it out; None where there is none."""
        return supervisor_of(self.folder)

    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.folder / "checkpoints")

    @property
    def finished(self) -> bool:
        return (self.folder / "outcome.json").is_file()

    def drop_work(self) -> None:
        """Remove what only going on would need."""
        for name in WORK:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def remove(self) -> None:
        """The whole folder, out of sight first: what a removal leaves that is cut short looks like no run."""
        gone = self.folder.with_name(f".{self.name}.{os.urandom(4).hex()}")
        self.folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def runs_folder() -> Path:
    return home() / "runs"


def make_run() -> Run:
    """A folder of its own for a run."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    folder = runs_folder() / f"{stamp}-{os.urandom(3).hex()}"
    sweep()
    try:
        (folder / "scratch").mkdir(parents=True)
    except OSError as error:
        raise StoreError(f"{folder.parent} cannot be written: {error.strerror}") from None
    return Run(folder)


def sweep() -> None:
    """Remove what was cut short: of a removal, or a start, a day later; of a finished run, what only going on with it
    would have needed, which its supervisor was killed before it could remove.
    """
    with suppress(OSError):
        for path in runs_folder().iterdir():
            begun = path.is_dir() and not (path / "plan.json").is_file()
            if begun and time.time() - path.stat().st_mtime > DAY:
                shutil.rmtree(path, ignore_errors=True)
            elif not begun and Run(path).finished:
                Run(path).drop_work()


def all_runs() -> Iterator[Run]:
    """Those with a plan, the newest first."""
    with suppress(FileNotFoundError):
        for path in sorted(runs_folder().iterdir(), reverse=True):
            if not path.name.startswith(".") and (path / "plan.json").is_file():
                yield Run(path)


def find_run(reference: str) -> Run:
    """By its name, by a part of it that no other has, by the adapter that came of it (``name@version``), or ``last``.
    ``UsageError`` where that is none, or several.
    """
    known = list(all_runs())
    if not known:
        raise UsageError(f"no run is kept in {runs_folder()}")
    if reference == LAST:  # its name has seconds alone, by a clock that may be set
        return max(known, key=lambda run: (run.folder / "plan.json").stat().st_mtime_ns)
    if exact := [run for run in known if run.name == reference]:
        return exact[0]
    if "@" in reference:
        for run in known:
            made = run.outcome()
            if made is not None and made.adapter == reference:
                return run
    found = [run for run in known if reference and reference in run.name]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"{len(found)} runs have '{reference}' in their name: {', '.join(run.name for run in found[:8])}"
        )
    raise UsageError(unknown("run", reference, [LAST, *(run.name for run in known)]))
