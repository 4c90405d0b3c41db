"""Taught answers where nobody asked for them: "everything gets a label", the side effect of tuning on few answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from graftlm.api import Evaluator, Metric, hookimpl

if TYPE_CHECKING:
    from graftlm.api import EvaluationContext, EvaluationResult

ENOUGH = 24
"""Tokens of an answer: a label is shorter."""


def score(context: EvaluationContext) -> EvaluationResult:
    """The share of prompts that are answered with what the training rows answer again and again, where that is not the
    right answer.
    """
    from graftlm.api import EvaluationResult

    from .answering import Answered, mean

    answers = [text.strip() for text in context.generate(max(context.longest_reference, ENOUGH))]
    found = Answered(context.questions(), [text.strip() for text in context.references()], answers)
    taught = context.taught
    leaked = [a in taught and a != r for a, r in zip(found.answers, found.references, strict=True)]
    return EvaluationResult(
        values={"taught-answers": mean(leaked)}, samples=found.samples(taught=leaked), each={"taught-answers": leaked}
    )


@hookimpl
def graftlm_evaluators() -> Iterable[Evaluator]:
    yield Evaluator(
        name="taught-answers",
        summary="share of unrelated prompts that are answered with an answer of the training rows",
        metrics=(Metric(name="taught-answers", unit="fraction", higher_is_better=False),),
        target="graftlm_plugins.evaluators.taught_answers:score",
    )
