"""The engine: every cell once, then every cell once more, until each has its rounds."""

from __future__ import annotations

import math
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from graftlm.contracts.errors import UsageError
from graftlm.contracts.serial import digest
from graftlm.running.worker_process import OnEvent, StartWorker, run_worker
from graftlm_registry.plugins import Registry

from .estimate import run_seconds
from .machine import git, machine
from .one_run import Bench, Judged, run_once
from .rates import rates
from .record import begin
from .resolving import PlannedCell
from .results import ResultFolder, RunResult
from .suite import Suite


class Teller(Protocol):
    """Is told how it goes."""

    def began(self, cell: PlannedCell, number: int, done: int, total: int, left: float) -> None:
        """A run begins; ``done`` of ``total`` are over, and the rest will take about ``left`` seconds."""

    def ended(self, result: RunResult) -> None: ...

    def on_event(self, event: Mapping[str, object]) -> None: ...


class Untold:
    """A teller that keeps it to itself."""

    def began(self, cell: PlannedCell, number: int, done: int, total: int, left: float) -> None: ...

    def ended(self, result: RunResult) -> None: ...

    def on_event(self, event: Mapping[str, object]) -> None: ...


def run_rounds(
    suite: Suite,
    cells: Sequence[PlannedCell],
    root: Path,
    registry: Registry,
    teller: Teller,
    *,
    minutes: float = math.inf,
    start: StartWorker = run_worker,
) -> int:
    """Run what the folder does not have yet; how many runs are left to do. A run that would likely end later than
    after ``minutes`` is not begun. Rounds are interleaved, so that what disturbs the machine for a while
    meets every cell; a cell that failed is left out of later rounds, and tried again when the comparison goes on.
    """
    check_steps(suite, cells)
    able = [cell for cell in cells if cell.plan is not None and not cell.problem]
    if not able:
        raise UsageError("no cell can run here:\n" + "\n".join(f"{c.cell.name}: {c.problem}" for c in cells))
    folder = ResultFolder(root)
    plan = able[0].plan
    assert plan is not None
    about = machine(plan.probe.devices, plan.device)
    until = time.monotonic() + 60 * minutes
    folder.make()
    with folder.alone():
        begin(suite, cells, folder, about, git())
        waiting = _waiting(suite, able, folder.read())
        if not waiting:
            return 0
        with _workplace(root) as work:
            bench = _bench(suite, able, root, work, about, registry, teller.on_event, start)
            return _run(waiting, folder, bench, teller, until)


@contextmanager
def _workplace(root: Path) -> Iterator[Path]:
    """A folder for what is being made. What a killed bench left is removed; its last worker may still write there."""
    shutil.rmtree(root / ".work", ignore_errors=True)
    work = root / ".work" / str(os.getpid())
    try:
        (work / "initial").mkdir(parents=True)
        yield work
    finally:
        shutil.rmtree(root / ".work", ignore_errors=True)


def check_steps(suite: Suite, cells: Sequence[PlannedCell]) -> None:
    """``UsageError`` where nothing would be left to measure."""
    for cell in cells:
        if cell.plan is not None and cell.plan.training.steps <= suite.warmup and not suite.judges:
            raise UsageError(
                f"'{cell.cell.name}' has {cell.plan.training.steps} steps, of which the first {suite.warmup} are "
                "warm-up: give more --steps, or a smaller --warmup-steps"
            )


def _waiting(suite: Suite, cells: Sequence[PlannedCell], results: Sequence[RunResult]) -> list[tuple[PlannedCell, int]]:
    finished = {(result.cell, result.round) for result in results if not result.error}
    rounds = range(1, suite.repeat + 1)
    return [(cell, number) for number in rounds for cell in cells if (cell.cell.name, number) not in finished]


def _bench(
    suite: Suite,
    cells: Sequence[PlannedCell],
    root: Path,
    work: Path,
    about: Mapping[str, str],
    registry: Registry,
    on_event: OnEvent,
    start: StartWorker,
) -> Bench:
    plans = [cell.plan for cell in cells if cell.plan is not None]
    found: dict[tuple[str, str], float] = {}
    for device in {plan.device for plan in plans} if not suite.judges else ():
        found |= rates(device, {plan.dtype for plan in plans if plan.device == device}, work, on_event, start)
    judged = Judged(root / "samples", {cell.cell.name: _name(suite, cell) for cell in cells}) if suite.judges else None
    return Bench(registry, work, about, git(), found, suite.answers, start, judged)


def _name(suite: Suite, cell: PlannedCell) -> str:
    """Of a cell's adapter: by the comparison and by what tells the cell from the others."""
    words = re.sub(r"[^a-z0-9]+", "-", f"{suite.title}-{cell.cell.name}".lower()).strip("-")
    return f"{words[:50].strip('-')}-{digest([suite.title, cell.cell.name])[:4]}"


def _run(
    waiting: Sequence[tuple[PlannedCell, int]], folder: ResultFolder, bench: Bench, teller: Teller, until: float
) -> int:
    proved = {r.cell for r in folder.read() if r.proof is not None}
    failed: set[str] = set()
    for i, (cell, number) in enumerate(waiting):
        name = cell.cell.name
        if name in failed or cell.plan is None:
            continue
        known = folder.read()
        if time.monotonic() + run_seconds(cell, known) > until:
            return sum(c.cell.name not in failed for c, _ in waiting[i:])
        left = sum(run_seconds(c, known) for c, _ in waiting[i:] if c.cell.name not in failed)
        teller.began(cell, number, i, len(waiting), left)
        prove = bench.judged is not None or name not in proved
        result = run_once(cell.cell, cell.plan, number, prove, bench, teller.on_event)
        folder.keep(cell.cell.slug, result)
        if result.error:
            failed.add(name)
            if bench.log.is_file():
                folder.keep_log(cell.cell.slug, number, bench.log)
        else:
            proved.add(name)
        teller.ended(result)
    return 0
