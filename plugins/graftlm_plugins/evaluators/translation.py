"""BLEU and chrF of the whole set of answers, as sacrebleu computes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from graftlm.api import Evaluator, Metric, Requirement, hookimpl

if TYPE_CHECKING:
    from graftlm.api import EvaluationContext, EvaluationResult


def score(context: EvaluationContext) -> EvaluationResult:
    """Both are of counts that are summed over rows: a resampled set is summed anew, and not compared anew."""
    import numpy as np
    from sacrebleu.metrics import BLEU, CHRF

    from graftlm.api import EvaluationResult

    from .answering import answered

    found = answered(context)
    metrics: dict[str, Any] = {"bleu": BLEU(effective_order=False), "chrf": CHRF()}
    counts = {}
    for name, metric in metrics.items():
        metric.corpus_score(found.answers, [found.references])  # prepares what it caches of references
        counts[name] = np.array(metric._extract_corpus_statistics(found.answers, [found.references]))

    def over(rows: Any) -> dict[str, float]:
        return {
            name: float(metric._aggregate_and_compute([counts[name][rows].sum(axis=0).tolist()]).score)
            for name, metric in metrics.items()
        }

    values = {
        name: float(metric.corpus_score(found.answers, [found.references]).score) for name, metric in metrics.items()
    }
    signatures = {name: str(metric.get_signature()) for name, metric in metrics.items()}
    samples = tuple({**sample, "signatures": signatures} for sample in found.samples())
    return EvaluationResult(values=values, samples=samples, over=over)


@hookimpl
def graftlm_evaluators() -> Iterable[Evaluator]:
    yield Evaluator(
        name="translation",
        summary="BLEU and chrF of the answers against the references",
        aliases=("bleu", "chrf"),
        metrics=(
            Metric(name="bleu", unit="BLEU", higher_is_better=True),
            Metric(name="chrf", unit="chrF", higher_is_better=True),
        ),
        target="graftlm_plugins.evaluators.translation:score",
        requires=(Requirement(distribution="sacrebleu", minimum="2.5", below="3", extra="evaluation"),),
    )
