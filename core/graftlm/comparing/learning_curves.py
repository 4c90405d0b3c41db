"""A new skill over the number of training rows, and what twice as many would likely bring.

The error is taken to fall as a power of the number of rows, which is how it falls for language models over a wide range
(Hestness et al. 2017). The interval is over test rows: they are drawn again, and the law is fitted again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graftlm import intervals
from graftlm.contracts.serial import digest

from .model import Curve, CurvePoint, Estimate, JudgedCell, Learned
from .paired_rows import tests_of, values_of
from .results import RunResult

LEAST_SIZES = 3
"""With fewer, a law goes through the points whatever they are."""


def curves(root: Path, runs: Mapping[str, RunResult], cells: Sequence[JudgedCell]) -> tuple[Curve, ...]:
    """One for each new skill and whatever else varies, where the number of rows does."""
    groups: dict[str, list[JudgedCell]] = {}
    for cell in cells:
        run = runs[cell.name]
        rest = {key: value for key, value in run.settings.items() if key != "data_size"}
        groups.setdefault(digest([rest, tests_of(run)]), []).append(cell)
    found = []
    for group in groups.values():
        ordered = sorted(group, key=lambda cell: _rows(runs[cell.name]))
        if len({_rows(runs[cell.name]) for cell in ordered}) > 1:
            found += [_curve(root, runs, ordered, each) for each in _firsts(ordered[0].learned)]
    return tuple(found)


def _rows(run: RunResult) -> int:
    return run.plan.data.splits[0].rows - run.plan.data.replayed


def _firsts(learned: Sequence[Learned]) -> list[Learned]:
    """The first metric of each new skill."""
    return list({each.evaluation: each for each in reversed(learned) if each.role == "new"}.values())[::-1]


def _curve(root: Path, runs: Mapping[str, RunResult], cells: Sequence[JudgedCell], of: Learned) -> Curve:
    points, values = [], []
    for cell in cells:
        key = (of.role, of.evaluation, of.evaluator, of.metric)
        mine = next(e for e in cell.learned if (e.role, e.evaluation, e.evaluator, e.metric) == key)
        points.append(CurvePoint(rows=_rows(runs[cell.name]), score=mine.after, cell=cell.name))
        values.append(values_of(root, runs[cell.name], of))
    doubled = None
    if len(points) >= LEAST_SIZES and all(values) and of.unit == "fraction" and of.higher_is_better:
        doubled = forecast([point.rows for point in points], values)
    settings = runs[cells[0].name].settings
    return Curve(
        evaluation=of.evaluation,
        metric=of.metric,
        unit=of.unit,
        cells=", ".join(str(settings[key]) for key in ("model", "method", "backend") if key in settings),
        points=tuple(points),
        doubled=doubled,
        said=_said(points, doubled, of),
    )


def forecast(sizes: Sequence[int], values: Sequence[Sequence[float]]) -> Estimate:
    """The score at twice the largest size. ``values`` are the shares that each row is worth, ``[sizes][rows]``."""
    import numpy as np

    each = np.array(values, dtype=float)
    logs = np.log(np.array(sizes, dtype=float))
    least = 0.5 / each.shape[1]  # no error among n rows is not none at all

    def at_twice(rows: Any) -> Mapping[str, float]:
        errors = np.log(np.maximum(1 - each[:, rows].mean(axis=1), least))
        slope, level = np.polyfit(logs, errors, 1)
        if slope >= 0:  # more rows did not help: nor will twice as many
            return {"score": 1 - math.exp(errors[-1])}
        return {"score": 1 - min(math.exp(level + slope * (logs[-1] + math.log(2))), math.exp(errors[-1]))}

    value = at_twice(np.arange(each.shape[1]))["score"]
    low, high = intervals.bootstrap(each.shape[1], at_twice)["score"]
    return Estimate(value=value, low=low, high=high)


def _said(points: Sequence[CurvePoint], doubled: Estimate | None, of: Learned) -> str:
    last = points[-1]
    if doubled is None or doubled.low is None or doubled.high is None:
        why = f"{LEAST_SIZES} sizes" if len(points) < LEAST_SIZES else "an evaluator that scores each row"
        return f"what more rows would bring cannot be said: it takes {why}"
    gain = doubled.value - last.score.value
    bounds = f"{doubled.low:.0%} to {doubled.high:.0%}"
    said = f"{2 * last.rows:,} rows instead of {last.rows:,} would likely bring {of.evaluation} from "
    said += f"{last.score.value:.0%} to {doubled.value:.0%} ({bounds})"
    return f"{said}: little is left to gain by more rows" if gain < 0.01 else said
