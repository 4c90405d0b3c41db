"""``adapters combine --try``: several ways to combine adapters, scored on the rows that each was evaluated on."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from graftlm import intervals
from graftlm.contracts.combining import CombineJob, CombinePlan, Trial, TrialScore, TrialSubject
from graftlm.contracts.errors import UsageError
from graftlm.contracts.outcome import Change, Score
from graftlm.contracts.serial import from_json
from graftlm.data.rows import write_row
from graftlm.data.samples import paired_change
from graftlm.running.combine import answerer, plan_of, read_weights
from graftlm.running.fitting import carried_out
from graftlm.running.parents import Parents, parents_of
from graftlm.running.worker_process import OnEvent, StartWorker, run_worker
from graftlm_registry.plugins import Registry

from .evaluation_rows import EvaluationRows, evaluation_rows

WAYS = ("linear", "cat", "svd", "ties", "dare_ties")
"""Tried where none are named."""
MORE = 0.7
"""The weight of the one that counts most, where no weights are given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """Somebody who was asked: ``plan`` is None for the base and for a parent alone. ``mean`` is over the parents, each
    counting the same; ``behind`` is the 95% interval of what the best one is better by, on the same rows, for a
    candidate that is not the best.
    """

    name: str
    plan: CombinePlan | None
    scores: tuple[Score, ...]
    mean: float
    least: float
    behind: intervals.Bounds | None = None

    @property
    def shown_worse(self) -> bool:
        """The best is better by more than noise."""
        return self.behind is not None and self.behind[0] > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """``others`` are the base and the parents; ``candidates`` the combinations, the best first. ``left_out`` says which
    could not be tried, and why. ``changes`` are of the best one against each parent alone, on that parent's rows.
    """

    parents: Parents
    rows: tuple[EvaluationRows, ...]
    others: tuple[Tried, ...]
    candidates: tuple[Tried, ...]
    left_out: tuple[str, ...]
    changes: tuple[Change, ...]

    @property
    def best(self) -> Tried:
        return self.candidates[0]

    @property
    def equals(self) -> tuple[Tried, ...]:
        """Candidates that the best is not shown to be better than."""
        return tuple(each for each in self.candidates[1:] if not each.shown_worse)


def try_all(
    given: Sequence[str],
    registry: Registry,
    on_event: OnEvent,
    *,
    combinations: Sequence[str] = (),
    rank: int | None = None,
    density: float | None = None,
    seed: int | None = None,
    start: StartWorker = run_worker,
) -> Trials:
    """Score every candidate, and beside them the base and the parents alone. Nothing is published.

    Raises ``UsageError`` where no candidate is possible, or a parent has no evaluation of its own.
    """
    references, weights = _given(given)
    parents = parents_of(references, registry)
    plans, left_out = candidates_of(parents, weights, combinations, rank, density, seed)
    rows = evaluation_rows(parents.records, registry)
    with tempfile.TemporaryDirectory(prefix="graftlm-") as folder:
        asked = []
        for number, each in enumerate(rows):
            path = Path(folder) / f"{number}.jsonl"
            path.write_bytes(b"".join(map(write_row, each.rows)))
            asked.append(each.asked(path))
        job = CombineJob(
            who=answerer(parents, Path(folder)),
            parents=tuple(str(path) for path in parents.folders.values()),
            trial=Trial(candidates=tuple(plans), asked=tuple(asked)),
        )
        done = carried_out("combine", job, on_event, start)
    found = from_json(json.dumps(done["subjects"]), tuple[TrialSubject, ...], "the worker's report")
    return _judged(parents, rows, plans, found, left_out)


def _given(given: Sequence[str]) -> tuple[list[str], tuple[float, ...]]:
    """References and weights; no weights where none are given."""
    if any("=" in text for text in given):
        pairs = read_weights(given)
        return [reference for reference, _ in pairs], tuple(weight for _, weight in pairs)
    return list(given), ()


def candidates_of(
    parents: Parents,
    weights: Sequence[float],
    combinations: Sequence[str],
    rank: int | None,
    density: float | None,
    seed: int | None,
) -> tuple[list[CombinePlan], list[str]]:
    """Plans, and a sentence for each combination that these adapters do not allow; ``UsageError`` where none is left.
    A setting goes to those that have it.
    """
    plans, left_out = [], []
    combining = parents.combining
    names = tuple(dict.fromkeys(combinations)) or tuple(name for name in WAYS if combining.way(name))
    asked: dict[str, Any] = {"rank": rank, "density": density, "seed": seed}
    used: set[str] = set()
    for name in names:
        way = combining.way(name)
        has = {"rank": way.any_rank, "density": way.density, "seed": way.random} if way else {}
        mine = {key: value for key, value in asked.items() if has.get(key)}
        used |= mine.keys()
        first, *others = (
            plan_of(combining, name, each, **mine) for each in ([weights] if weights else _grid(len(parents.records)))
        )
        assert way is not None  # 'plan_of' refuses another
        if reasons := combining.check(way, first.rank, parents.folders):
            left_out.append(reasons[0])
            continue
        plans += [first, *others]
    for key, value in asked.items():
        if value is not None and key not in used:
            raise UsageError(f"--{key} {value}: none of {', '.join(names)} has one")
    if not plans:
        raise UsageError(left_out[0])
    return plans, list(dict.fromkeys(left_out))


def _grid(count: int) -> list[tuple[float, ...]]:
    """All the same, each one more than the others, and all whole."""
    rest = round((1 - MORE) / (count - 1), 3)
    found = [tuple(round(1 / count, 3) for _ in range(count))]
    found += [tuple(MORE if i == most else rest for i in range(count)) for most in range(count)]
    return [*found, (1.0,) * count]


def _judged(
    parents: Parents,
    rows: Sequence[EvaluationRows],
    plans: Sequence[CombinePlan],
    found: Sequence[TrialSubject],
    left_out: Sequence[str],
) -> Trials:
    alone, made = found[: 1 + len(rows)], found[1 + len(rows) :]
    _check_metrics(alone[0].scores)
    sign = 1 if alone[0].scores[0].score.higher_is_better else -1
    names = (parents.records[0].base.name, *(record.reference for record in parents.records))
    others = tuple(_tried(name, None, each, sign) for name, each in zip(names, alone, strict=True))
    left_out = [*left_out, *(
        f"{plan.combination} {said_weights(plan)}: {each.problem}"
        for plan, each in zip(plans, made, strict=True) if each.problem
    )]  # fmt: skip
    scored = [(plan, each) for plan, each in zip(plans, made, strict=True) if not each.problem]
    if not scored:
        raise UsageError(left_out[0])
    ranked = sorted(
        ((_tried(plan.combination, plan, each, sign), each) for plan, each in scored),
        key=lambda pair: (-sign * pair[0].mean, -sign * pair[0].least),
    )
    (best, values), *rest = ranked
    candidates = (best, *(replace(tried, behind=_behind(values, each, sign)) for tried, each in rest))
    return Trials(
        parents=parents,
        rows=tuple(rows),
        others=others,
        candidates=candidates,
        left_out=tuple(left_out),
        changes=tuple(
            paired_change(was.score, now.score, was.each, now.each)
            for was, now in ((alone[1 + i].scores[i], values.scores[i]) for i in range(len(rows)))
        ),
    )


def said_weights(plan: CombinePlan) -> str:
    return " / ".join(f"{weight:g}" for weight in plan.weights)


def _check_metrics(scores: Sequence[TrialScore]) -> None:
    """A mean over parents is of one unit."""
    first = scores[0].score
    for other in (each.score for each in scores[1:]):
        if (other.unit, other.higher_is_better) != (first.unit, first.higher_is_better):
            raise UsageError(
                f"the rows of {first.evaluation} are scored in {first.metric}, those of {other.evaluation} in "
                f"{other.metric}: what is best over both cannot be said (train them with one --evaluator)"
            )


def _tried(name: str, plan: CombinePlan | None, subject: TrialSubject, sign: int) -> Tried:
    scores = tuple(each.score for each in subject.scores)
    values = [score.value for score in scores]
    least = min(values) if sign > 0 else max(values)
    return Tried(name=name, plan=plan, scores=scores, mean=sum(values) / len(values), least=least)


def _behind(best: TrialSubject, other: TrialSubject, sign: int) -> intervals.Bounds:
    """Of the best one's mean minus the other's, paired by row; each parent's rows count as much as another's."""
    total = sum(len(each.each) for each in best.scores)
    differences: list[float] = []
    for mine, theirs in zip(best.scores, other.scores, strict=True):
        share = total / (len(best.scores) * len(mine.each))
        differences += [sign * share * (b - o) for b, o in zip(mine.each, theirs.each, strict=True)]
    return intervals.bootstrap_of_mean(differences)
