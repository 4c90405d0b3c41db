"""Judged runs put together: what each cell learned, what it cost, and which is the best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from graftlm.contracts.outcome import Score
from graftlm.data.samples import sample_file
from graftlm.running.forgetting import forgetting, verdict

from .figures import measured
from .learning_curves import curves
from .model import Estimate, JudgedCell, Judgement, Learned
from .paired_rows import difference, tests_of, values_of
from .results import RunResult
from .weighing import WEIGHTS, change_of_old, share_of_new

MEASURED = {"speed": ("tokens_per_second", True), "memory": ("peak_memory", False), "size": ("adapter_bytes", False)}
"""What is weighed as a share of the best cell's: its measure, and whether more is better."""


def judgement(root: Path, runs: Mapping[str, RunResult], weights: Mapping[str, float], warmup: int) -> Judgement:
    """Of the first finished run of each cell; ``root`` is the comparison's folder."""
    figures = {name: measured(run, warmup) for name, run in runs.items()}
    best = {
        part: _best([f[measure] for f in figures.values() if measure in f], more)
        for part, (measure, more) in MEASURED.items()
    }
    cells = [_cell(run, figures[name], best, weights) for name, run in runs.items()]
    cells.sort(key=lambda cell: -cell.score)
    if cells:
        cells = [cells[0], *(replace(c, against_best=_against(root, runs, cells[0], c)) for c in cells[1:])]
    return Judgement(
        weights=weights,
        cells=tuple(cells),
        curves=curves(root, runs, cells),
        said=(*_said(cells, weights), *_beyond(runs)),
    )


def _best(values: Sequence[float], more: bool) -> float:
    return (max if more else min)(values, default=0.0)


def _cell(
    run: RunResult, figures: Mapping[str, float], best: Mapping[str, float], weights: Mapping[str, float]
) -> JudgedCell:
    learned = tuple(_learned(run))
    change = forgetting(run.changes)
    parts = {"new": share_of_new(learned), "old": change_of_old(learned)}
    parts["forgetting"] = -change.value if change else 0.0
    for part, (measure, more) in MEASURED.items():
        value = figures.get(measure, 0.0)
        parts[part] = (value / best[part] if more else best[part] / value) if value and best[part] else 0.0
    return JudgedCell(
        name=run.cell,
        adapter=run.adapter,
        samples=run.samples,
        learned=learned,
        forgetting=Estimate(value=change.value, low=change.low, high=change.high) if change else None,
        parts=parts,
        score=sum(weight * parts[part] for part, weight in weights.items()),
    )


def _learned(run: RunResult) -> list[Learned]:
    """Every metric, the new skills first."""
    after = {(s.role, s.evaluation, s.evaluator, s.metric): s for s in run.scores if s.moment == "after"}
    changed = {(c.role, c.evaluation, c.evaluator, c.metric): c for c in run.changes}
    found = []
    for before in sorted((s for s in run.scores if s.moment == "before"), key=lambda s: s.role != "new"):
        key = (before.role, before.evaluation, before.evaluator, before.metric)
        if key in after and key in changed:
            change = changed[key]
            found.append(
                Learned(
                    evaluation=before.evaluation,
                    role=before.role,
                    evaluator=before.evaluator,
                    metric=before.metric,
                    unit=before.unit,
                    higher_is_better=before.higher_is_better,
                    n=before.n,
                    before=_estimate(before),
                    after=_estimate(after[key]),
                    change=Estimate(value=change.value, low=change.low, high=change.high),
                    samples=_files(run, before),
                )
            )
    return found


def _files(run: RunResult, score: Score) -> tuple[str, ...]:
    if not run.samples:
        return ()
    names = (sample_file(score.role, score.evaluation, score.evaluator, moment) for moment in ("before", "after"))
    return tuple(f"{run.samples}/{name}" for name in names)


def _estimate(score: Score) -> Estimate:
    return Estimate(value=score.value, low=score.low, high=score.high)


def _against(root: Path, runs: Mapping[str, RunResult], best: JudgedCell, cell: JudgedCell) -> Estimate | None:
    """The first new skill's first metric, row by row."""
    first = next((each for each in best.learned if each.role == "new"), None)
    mine, theirs = runs[cell.name], runs[best.name]
    if first is None or tests_of(mine) != tests_of(theirs):
        return None
    one, other = (values_of(root, run, first) for run in (theirs, mine))
    return difference(one, other) if one and len(one) == len(other) else None


def _said(cells: Sequence[JudgedCell], weights: Mapping[str, float]) -> list[str]:
    if not cells:
        return ["no cell has finished"]
    told = ", ".join(f"{name} {weights[name]:g}" for name in WEIGHTS if weights.get(name))
    if len(cells) == 1:
        return [f"{cells[0].name} is the only one that finished"]
    first, second = cells[0], cells[1]
    said = f"{first.name} is the best by these weights ({told}): {_number(first.score)}, before {second.name} with "
    said += _number(second.score)
    apart = second.against_best
    if apart is not None and (apart.low is None or apart.high is None or apart.low <= 0 <= apart.high):
        skill = next(each.evaluation for each in first.learned if each.role == "new")
        said += f"; in {skill} no difference between them is shown"
    return [said]


def _beyond(runs: Mapping[str, RunResult]) -> Iterator[str]:
    """Cells that forgot more than they were allowed to."""
    for name, run in runs.items():
        found = verdict(run.plan, run.changes)
        if found is not None and not found.passed:
            yield f"{name} {found.said}" if found.change else f"{name}: {found.said}"


def _number(score: float) -> str:
    return f"{score:.3f}".replace("-", "−")
