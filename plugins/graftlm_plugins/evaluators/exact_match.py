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

    references = context.references()
    # An answer that is longer than every right one is wrong, however it goes on.
    answers = context.generate(context.longest_reference)
    right = [answer.strip() == reference.strip() for answer, reference in zip(answers, references, strict=True)]
    samples = tuple(
        {"question": question, "reference": reference, "answer": answer, "right": is_right}
        for question, reference, answer, is_right in zip(context.questions(), references, answers, right, strict=True)
    )
    return EvaluationResult(values={"exact-match": sum(right) / len(right)}, samples=samples)


@hookimpl
def graftlm_evaluators() -> Iterable[Evaluator]:
    yield Evaluator(
        name="exact-match",
        summary="share of greedy answers that equal the reference",
        metrics=(Metric(name="exact-match", unit="fraction", higher_is_better=True),),
        target="graftlm_plugins.evaluators.exact_match:score",
    )
