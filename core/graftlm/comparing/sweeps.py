"""How cost grows along a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .figures import MEASURES, measured
from .model import Slope, Sweep
from .record import CellRecord
from .results import RunResult
from .slopes import fitted
from .suite import Suite

GROWING = ("step_seconds", "tokens_per_second", "peak_memory")


def sweeps(
    suite: Suite, cells: Sequence[CellRecord], runs: Mapping[str, Sequence[RunResult]], warmup: int
) -> tuple[Sweep, ...]:
    """For each swept setting, the slopes of each group of cells that differ in it alone."""
    found = []
    for setting in suite.sweeps:
        groups: dict[str, list[CellRecord]] = {}
        for cell in (cell for cell in cells if cell.settings.get(setting) is not None):
            rest = ", ".join(said for key, said in cell.shown.items() if key != setting)
            groups.setdefault(rest, []).append(cell)
        slopes = [s for rest, group in groups.items() for s in _slopes(setting, rest, group, runs, warmup)]
        if slopes:
            found.append(Sweep(setting=setting.replace("_", "-"), slopes=tuple(slopes)))
    return tuple(found)


def _slopes(
    setting: str, rest: str, group: Sequence[CellRecord], runs: Mapping[str, Sequence[RunResult]], warmup: int
) -> list[Slope]:
    found = []
    for measure in MEASURES:
        if measure.name not in GROWING:
            continue
        points = []
        for cell in group:
            values = [measured(run, warmup).get(measure.name, 0.0) for run in runs[cell.name]]
            if values and all(values):
                points.append((float(cell.settings[setting]), values))
        slope = fitted(points, measure=measure, setting=setting.replace("_", "-"), cells=rest)
        if slope is not None:
            found.append(slope)
    return found
