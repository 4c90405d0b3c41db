"""Scoring a model, before and after training, through the evaluators of the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import RunError
from graftlm.contracts.plan import Evaluation, Plan
from graftlm.contracts.specs import Evaluator
from graftlm.data.rows import read_row
from graftlm_registry.plugins import registry

from .asking import Asked, Asking
from .measured import Measured, Moment
from .targets import resolve_target

LONGEST_TAUGHT = 80
"""Characters of an answer that counts as one that is taught: a class, a word, a phrase."""


def evaluate(plan: Plan, run: Path, asked: Asked, moment: Moment, progress: Callable[[str], None]) -> list[Measured]:
    """Every evaluation by its evaluators; the samples are kept in ``RUN/samples``."""
    found: list[Measured] = []
    for evaluation in plan.evaluations:
        path = Path(evaluation.path) if evaluation.path else run / "data" / "test.jsonl"
        asking = Asking(asked, _rows(evaluation, path), taught=lambda: taught_answers(run))
        for name in evaluators_of(plan, evaluation):
            progress(f"{evaluation.name} {moment}")
            measured = measure(evaluation, registry().get(Evaluator, name), asking)
            folder = run / "samples"
            folder.mkdir(exist_ok=True)
            measured.write(folder / f"{evaluation.role}.{evaluation.name}.{name}.{moment}.jsonl")
            found.append(measured)
    return found


def evaluators_of(plan: Plan, evaluation: Evaluation) -> tuple[str, ...]:
    """Those of the evaluation, or else the plan's."""
    return evaluation.evaluators or tuple(part.name for part in plan.all_parts("evaluator"))


def measure(evaluation: Evaluation, spec: Evaluator, asking: Asking) -> Measured:
    result = resolve_target(spec.target)(asking)
    return Measured(evaluation.name, evaluation.role, spec, result, evaluation.rows)


def _rows(evaluation: Evaluation, path: Path) -> Sequence[Conversation]:
    with path.open("rb") as file:
        rows = [row for row in map(read_row, file) if evaluation.capability in (None, row.capability)]
    if len(rows) != evaluation.rows:
        raise RunError(f"{path} has {len(rows)} rows, and the plan says {evaluation.rows}")
    return rows


def taught_answers(run: Path) -> frozenset[str]:
    """Short answers that the run's training rows give more than once."""
    with (run / "data" / "train.jsonl").open("rb") as file:
        answers = Counter(answer for row in map(read_row, file) if (answer := row.answer.strip()))
    return frozenset(answer for answer, count in answers.items() if count > 1 and len(answer) <= LONGEST_TAUGHT)
