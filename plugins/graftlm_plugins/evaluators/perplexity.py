"""Loss of the right answers, or of texts: the mean over their tokens, the end token included; and its exponential."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from graftlm.api import Evaluator, Metric, hookimpl

if TYPE_CHECKING:
    from graftlm.api import EvaluationContext, EvaluationResult


def score(context: EvaluationContext) -> EvaluationResult:
    import numpy as np

    from graftlm.api import EvaluationResult, RunError

    losses = context.answer_losses()
    summed, tokens = np.array([loss for loss, _ in losses]), np.array([count for _, count in losses])

    if not tokens.any():
        raise RunError("no row fits the model's positions, so that there is no loss: give shorter ones")

    def over(rows: Any) -> dict[str, float]:
        mean = float(summed[rows].sum()) / max(1, int(tokens[rows].sum()))  # a resample may hold none that fits
        return {"loss": mean, "perplexity": math.exp(min(mean, 700.0))}

    samples = tuple({"loss": loss, "tokens": count} for loss, count in losses)
    return EvaluationResult(values=over(np.arange(len(losses))), samples=samples, over=over)


@hookimpl
def graftlm_evaluators() -> Iterable[Evaluator]:
    yield Evaluator(
        name="perplexity",
        summary="loss and perplexity of the right answers, or of texts",
        metrics=(
            Metric(name="loss", unit="nats per token", higher_is_better=False),
            Metric(name="perplexity", unit="perplexity", higher_is_better=False),
        ),
        target="graftlm_plugins.evaluators.perplexity:score",
    )
