"""Classification: the references are the names of classes; accuracy, and F1 of each class with equal weight."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from graftlm.api import Evaluator, Metric, hookimpl

if TYPE_CHECKING:
    from graftlm.api import EvaluationContext, EvaluationResult


def score(context: EvaluationContext) -> EvaluationResult:
    """Every reference that there is names a class; an answer that names none is wrong, and of no class."""
    import numpy as np

    from graftlm.api import EvaluationResult

    from .answering import answered, mean
    from .normalised_match import normalised

    found = answered(context)
    classes = sorted({normalised(reference) for reference in found.references})
    number = {name: i for i, name in enumerate(classes)}
    wanted = np.array([number[normalised(reference)] for reference in found.references])
    given = np.array([number.get(normalised(answer), -1) for answer in found.answers])

    def over(rows: Any) -> dict[str, float]:
        return {"macro-f1": macro_f1(wanted[rows], given[rows], len(classes))}

    right = [bool(same) for same in wanted == given]
    named = [classes[i] if i >= 0 else None for i in given.tolist()]
    return EvaluationResult(
        values={"accuracy": mean(right), **over(np.arange(len(wanted)))},
        samples=found.samples(right=right, given=named),
        each={"accuracy": right},
        over=over,
    )


def macro_f1(wanted: Any, given: Any, classes: int) -> float:
    """``wanted`` and ``given`` are numbers of classes, ``int64[rows]``, -1 for none. The mean of each class's F1, over
    the classes that are wanted or given at all.
    """
    import numpy as np

    right = np.bincount(wanted[wanted == given], minlength=classes)
    both = np.bincount(wanted, minlength=classes) + np.bincount(given[given >= 0], minlength=classes)
    there = both > 0
    return float((2 * right[there] / both[there]).mean()) if there.any() else 0.0


@hookimpl
def graftlm_evaluators() -> Iterable[Evaluator]:
    yield Evaluator(
        name="classification",
        summary="accuracy and macro-F1 of answers that name classes",
        metrics=(
            Metric(name="accuracy", unit="fraction", higher_is_better=True),
            Metric(name="macro-f1", unit="fraction", higher_is_better=True),
        ),
        target="graftlm_plugins.evaluators.classification:score",
    )
