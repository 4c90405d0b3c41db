"""ROUGE-L: the longest common subsequence of words, as rouge-score computes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from graftlm.api import Evaluator, Metric, Requirement, hookimpl

if TYPE_CHECKING:
    from graftlm.api import EvaluationContext, EvaluationResult


def score(context: EvaluationContext) -> EvaluationResult:
    """The mean F-measure over rows, without stemming."""
    from rouge_score.rouge_scorer import RougeScorer

    from graftlm.api import EvaluationResult

    from .answering import answered, mean

    found = answered(context)
    scorer = RougeScorer(["rougeL"])
    pairs = zip(found.references, found.answers, strict=True)
    each = [float(scorer.score(reference, answer)["rougeL"].fmeasure) for reference, answer in pairs]
    return EvaluationResult(values={"rouge-l": mean(each)}, samples=found.samples(rouge_l=each), each={"rouge-l": each})


@hookimpl
def graftlm_evaluators() -> Iterable[Evaluator]:
    yield Evaluator(
        name="rouge",
        summary="ROUGE-L of the answers against the references",
        metrics=(Metric(name="rouge-l", unit="fraction", higher_is_better=True),),
        target="graftlm_plugins.evaluators.rouge:score",
        requires=(Requirement(distribution="rouge-score", minimum="0.1.2", extra="evaluation"),),
    )
