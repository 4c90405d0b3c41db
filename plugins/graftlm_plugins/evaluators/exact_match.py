"""Exact match: the greedy answer is the reference, white space at both ends aside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from graftlm.api import Evaluator, Metric, hookimpl

if TYPE_CHECKING:
    from graftlm.api import EvaluationContext, EvaluationResult


def score(context: EvaluationContext) -> EvaluationResult:
    """The share of rows whose answer is right."""
    from graftlm.api import EvaluationResult

    from .answering import answered, mean

    found = answered(context)
    right = [answer == reference for answer, reference in zip(found.answers, found.references, strict=True)]
    return EvaluationResult(
        values={"exact-match": mean(right)}, samples=found.samples(right=right), each={"exact-match": right}
    )


@hookimpl
def graftlm_evaluators() -> Iterable[Evaluator]:
    yield Evaluator(
        name="exact-match",
        summary="share of greedy answers that equal the reference",
        metrics=(Metric(name="exact-match", unit="fraction", higher_is_better=True),),
        target="graftlm_plugins.evaluators.exact_match:score",
    )
