"""Multiple choice: the answer that the model holds for the likeliest among those that occur, without generating."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from graftlm.api import Evaluator, Metric, Option, hookimpl

if TYPE_CHECKING:
    from graftlm.api import EvaluationContext, EvaluationResult

MOST = 16
"""Choices of a row, at most: each is a forward pass."""


def score(context: EvaluationContext) -> EvaluationResult:
    """The share of rows whose reference has the lowest loss, by its sum and by its mean over tokens (which does not
    favour short answers). Where more answers occur than ``MOST``, a row has its own and others that are drawn.
    """
    from graftlm.api import EvaluationResult

    from .answering import mean

    references = [text.strip() for text in context.references()]
    known = tuple(dict.fromkeys((*(context.options.get("choices") or ()), *references)))
    choices = [_choices(i, reference, known) for i, reference in enumerate(references)]
    losses: list[dict[str, tuple[float, int]]] = [{} for _ in references]
    for place in range(max(map(len, choices), default=0)):
        asked = [each[min(place, len(each) - 1)] for each in choices]
        for found, choice, loss in zip(losses, asked, context.answer_losses(asked), strict=True):
            found[choice] = loss
    by_sum = [min(found, key=lambda c: found[c][0]) for found in losses]
    by_mean = [min(found, key=lambda c: found[c][0] / max(1, found[c][1])) for found in losses]
    read = [all(count for _, count in found.values()) for found in losses]  # one that does not fit was not chosen
    right = {
        name: [fits and given == reference for fits, given, reference in zip(read, chosen, references, strict=True)]
        for name, chosen in (("choice", by_sum), ("choice-by-mean", by_mean))
    }
    samples = tuple(
        {
            "question": question,
            "reference": reference,
            "choice": by_sum[i],
            "choice_by_mean": by_mean[i],
            "losses": {choice: loss for choice, (loss, _) in losses[i].items()},
        }
        for i, (question, reference) in enumerate(zip(context.questions(), references, strict=True))
    )
    return EvaluationResult(values={name: mean(each) for name, each in right.items()}, samples=samples, each=right)


def _choices(row: int, reference: str, known: Sequence[str]) -> Sequence[str]:
    """The same ones every time."""
    if len(known) <= MOST:
        return known
    from random import Random

    others = [choice for choice in known if choice != reference]
    return (reference, *Random(row).sample(others, MOST - 1))


@hookimpl
def graftlm_evaluators() -> Iterable[Evaluator]:
    yield Evaluator(
        name="multiple-choice",
        summary="share of rows whose right answer is the likeliest of all",
        metrics=(
            Metric(name="choice", unit="fraction", higher_is_better=True),
            Metric(name="choice-by-mean", unit="fraction", higher_is_better=True),
        ),
        target="graftlm_plugins.evaluators.multiple_choice:score",
        options=(
            Option(name="choices", type="list", default=(), help="Answers to choose from beside those that occur"),
        ),
    )
