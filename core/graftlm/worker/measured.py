"""What an evaluator made of a model's answers: scores with intervals, samples, and what training changed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from graftlm import intervals
from graftlm.contracts.errors import RunError
from graftlm.contracts.evaluating import EvaluationResult
from graftlm.contracts.outcome import Change, Score
from graftlm.contracts.specs import Evaluator

Role = Literal["new", "old"]
Moment = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One evaluator's result on the rows of one evaluation."""

    evaluation: str
    role: Role
    spec: Evaluator
    result: EvaluationResult
    rows: int

    def scores(self, moment: Moment) -> list[Score]:
        """One for each metric."""
        bounds = _intervals(self.result, self.rows)
        return [
            Score(
                evaluation=self.evaluation,
                role=self.role,
                metric=metric.name,
                moment=moment,
                value=self.result.values[metric.name],
                n=self.rows,
                unit=metric.unit,
                higher_is_better=metric.higher_is_better,
                evaluator=self.spec.name,
                **bounds.get(metric.name, {}),
            )
            for metric in self.spec.metrics
        ]

    def sound(self) -> Measured:
        """Itself; ``RunError`` where the evaluator returned something else than it declares."""
        result, who = self.result, f"evaluator {self.spec.name} on {self.evaluation}"
        if len(result.samples) != self.rows:
            raise RunError(f"{who}: it returned {len(result.samples)} samples for {self.rows} rows")
        for name, values in result.each.items():
            if len(values) != self.rows:
                raise RunError(f"{who}: it returned {len(values)} numbers of {name} for {self.rows} rows")
            for row, value in enumerate(values):
                if not math.isfinite(value):
                    raise RunError(f"{who}: {name} of row {row + 1} is {value}, and must be a finite number")
        for metric in self.spec.metrics:
            if not math.isfinite(result.values.get(metric.name, math.nan)):
                raise RunError(f"{who}: it returned no finite number for {metric.name}")
        return self

    def write(self, path: Path) -> None:
        """One line of JSON a row: what the evaluator says of it, and its numbers in ``each``."""
        with path.open("w", encoding="utf-8") as file:
            for i, sample in enumerate(self.result.samples):
                each = {name: float(values[i]) for name, values in self.result.each.items()}
                file.write(json.dumps({**sample, **({"each": each} if each else {})}, ensure_ascii=False) + "\n")


def changes(before: Sequence[Measured], after: Sequence[Measured]) -> list[Change]:
    """Of every metric that both moments have, on the same rows: what differs between rows is not in the intervals."""
    found = []
    then = {(was.role, was.evaluation, was.spec.name): was for was in before}
    for now in after:
        was = then.get((now.role, now.evaluation, now.spec.name))
        if was is None:
            continue
        bounds = _paired(was, now)
        found += [
            Change(
                evaluation=was.evaluation,
                role=was.role,
                metric=metric.name,
                value=now.result.values[metric.name] - was.result.values[metric.name],
                n=was.rows,
                unit=metric.unit,
                higher_is_better=metric.higher_is_better,
                evaluator=was.spec.name,
                **bounds.get(metric.name, {}),
            )
            for metric in was.spec.metrics
        ]
    return found


def _paired(was: Measured, now: Measured) -> Mapping[str, Mapping[str, Any]]:
    """Fields of a ``Change``, by metric; nothing of one row alone, or where the evaluator does not tell what each is
    worth.
    """
    if was.rows < 2:
        return {}
    found: dict[str, Mapping[str, Any]] = {}
    for name, values in was.result.each.items():
        then = now.result.each[name]
        bounds = intervals.paired(values, then)
        drawn = not (intervals.is_share(values) and intervals.is_share(then))
        found[name] = _drawn(bounds) if drawn else {"low": bounds[0], "high": bounds[1], "interval": "newcombe"}
    first, second = was.result.over, now.result.over
    if first is not None and second is not None:
        over = intervals.bootstrap(was.rows, lambda rows: _less(second(rows), first(rows)))
        found |= {name: _drawn(bounds) for name, bounds in over.items()}
    return found


def _drawn(bounds: intervals.Bounds) -> Mapping[str, Any]:
    return {"low": bounds[0], "high": bounds[1], "interval": "bootstrap", "seed": intervals.SEED}


def _less(after: Mapping[str, float], before: Mapping[str, float]) -> Mapping[str, float]:
    return {name: value - before[name] for name, value in after.items()}


def _intervals(result: EvaluationResult, rows: int) -> Mapping[str, Mapping[str, Any]]:
    """Fields of a ``Score``, by metric."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, values in result.each.items():
        if intervals.is_share(values) and rows:
            low, high = intervals.wilson(sum(values), len(values))
            found[name] = {"low": low, "high": high, "interval": "wilson"}
        elif rows > 1:  # one row tells nothing of others
            found[name] = _drawn(intervals.bootstrap_of_mean(values))
    drawn = intervals.bootstrap(rows, result.over) if result.over and rows > 1 else {}
    return found | {name: _drawn(bounds) for name, bounds in drawn.items()}
