"""Scoring a model, before and after training, through the evaluators of the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import Interrupted, RunError
from graftlm.contracts.plan import Evaluation, Plan
from graftlm.contracts.specs import Evaluator
from graftlm.data.rows import read_row
from graftlm.data.samples import sample_file, suite_file
from graftlm.data.splitting import fingerprint
from graftlm_registry.plugins import registry

from .asking import Asked, Asking
from .measured import Measured, Moment
from .targets import resolve_target

LONGEST_TAUGHT = 80
"""Characters of an answer that counts as one that is taught: a class, a word, a phrase."""


def evaluate(
    plan: Plan,
    run: Path,
    asked: Asked,
    moment: Moment,
    progress: Callable[[str], None],
    warn: Callable[[str], None],
) -> list[Measured]:
    """Every evaluation by its evaluators; the samples are kept in ``RUN/samples``. An evaluator that fails is left out
    with a warning: what was trained is worth more than a score.
    """
    found: list[Measured] = []
    if moment == "before":
        for name, count in trained_on(plan, run).items():
            warn(f"{count} rows of {name} are trained on: what that suite says of forgetting is little")
    taught = cache(lambda: taught_answers(run, plan.data.replayed))
    for evaluation in plan.evaluations:
        path = rows_of(evaluation, run)
        asking = Asking(asked, _rows(evaluation, path), taught=taught)
        for name in evaluators_of(plan, evaluation):
            progress(f"{evaluation.name} {moment}")
            try:
                measured = measure(evaluation, registry().get(Evaluator, name), asking)
            except Interrupted:
                raise
            except Exception as error:  # noqa: BLE001 - a stranger's may raise anything
                warn(f"{evaluation.name} is not scored by {name} ({moment} training): {error}")
                continue
            folder = run / "samples"
            folder.mkdir(exist_ok=True)
            measured.write(folder / sample_file(evaluation.role, evaluation.name, name, moment))
            found.append(measured)
        if unfit := asking.unfit():
            warn(unfit_said(unfit, evaluation.rows, evaluation.name))
    return found


def unfit_said(count: int, rows: int, name: str) -> str:
    """A sentence on rows that the model has no positions for."""
    return (
        f"{count} of {rows} rows of {name} do not fit the model's positions: they count as wrong, and in no loss "
        "(shorten them, or give --context-length)"
    )


def evaluators_of(plan: Plan, evaluation: Evaluation) -> tuple[str, ...]:
    """Those of the evaluation, or else the plan's."""
    return evaluation.evaluators or tuple(part.name for part in plan.all_parts("evaluator"))


def measure(evaluation: Evaluation, spec: Evaluator, asking: Asking) -> Measured:
    result = resolve_target(spec.target)(asking)
    return Measured(evaluation.name, evaluation.role, spec, result, evaluation.rows).sound()


def rows_of(evaluation: Evaluation, run: Path) -> Path:
    """The file of its rows: the run's own test rows, its copy of the user's, or what comes with graftlm."""
    if not evaluation.path:
        return run / "data" / "test.jsonl"
    copy = run / "data" / suite_file(evaluation)
    return copy if copy.is_file() else Path(evaluation.path)


def _rows(evaluation: Evaluation, path: Path) -> Sequence[Conversation]:
    with path.open("rb") as file:
        rows = [row for row in map(read_row, file) if evaluation.capability in (None, row.capability)]
    if len(rows) != evaluation.rows:
        raise RunError(f"{path} has {len(rows)} rows, and the plan says {evaluation.rows}")
    return rows


def trained_on(plan: Plan, run: Path) -> Counter[str]:
    """How many questions of each old skill stand among the training rows."""
    asked = {
        fingerprint(row): evaluation.name
        for evaluation in plan.evaluations
        if evaluation.role == "old"
        for row in _rows(evaluation, rows_of(evaluation, run))
    }
    if not asked:
        return Counter()
    with (run / "data" / "train.jsonl").open("rb") as file:
        trained = {place for place in (fingerprint(read_row(line)) for line in file) if place in asked}
    return Counter(asked[place] for place in trained)


def taught_answers(run: Path, replayed: int = 0) -> frozenset[str]:
    """Short answers that the run's own training rows give more than once; the ``replayed`` ones come last."""
    with (run / "data" / "train.jsonl").open("rb") as file:
        own = [row.answer.strip() for row in map(read_row, file)]
    answers = Counter(own[: len(own) - replayed])
    return frozenset(answer for answer, count in answers.items() if count > 1 and 0 < len(answer) <= LONGEST_TAUGHT)
