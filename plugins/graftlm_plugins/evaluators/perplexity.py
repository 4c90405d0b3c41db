"""Perplexity of the right answers: exp of the mean loss over their tokens, the end token included."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from graftlm.api import Evaluator, Metric, hookimpl

if TYPE_CHECKING:
    from graftlm.api import EvaluationContext, EvaluationResult


def score(context: EvaluationContext) -> EvaluationResult:
    from graftlm.api import EvaluationResult

    losses = context.answer_losses()
    tokens = sum(count for _, count in losses)
    mean = sum(loss for loss, _ in losses) / max(1, tokens)
    samples = tuple({"loss": loss, "tokens": count} for loss, count in losses)
    return EvaluationResult(values={"perplexity": math.exp(min(mean, 700.0))}, samples=samples)


@hookimpl
def graftlm_evaluators() -> Iterable[Evaluator]:
    yield Evaluator(
        name="perplexity",
        summary="perplexity of the right answers",
        metrics=(Metric(name="perplexity", unit="perplexity", higher_is_better=False),),
        target="graftlm_plugins.evaluators.perplexity:score",
    )
