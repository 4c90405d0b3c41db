"""Acme's evaluator for graftlm: how much of each answer is right, word by word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from graftlm.api import Evaluator, Metric, Option, hookimpl

if TYPE_CHECKING:
    from graftlm.api import EvaluationContext, EvaluationResult


def score(context: EvaluationContext) -> EvaluationResult:
    """The mean F1 of words, and the share of answers that reach ``enough`` of it."""
    from graftlm.api import EvaluationResult

    # The greedy answers, in the order of the rows. No right answer is longer than the longest reference; one that goes
    # on is wrong. Answers are asked of the model once, however many evaluators want them.
    answers, references = context.generate(context.longest_reference), context.references()
    each = [f1(answer, reference) for answer, reference in zip(answers, references, strict=True)]
    enough = [float(value >= float(context.options["enough"])) for value in each]
    return EvaluationResult(
        values={"word-f1": mean(each), "close": mean(enough)},
        # one dict a row, to trace a figure by: it is written as JSON
        samples=tuple(
            {"question": question, "reference": reference, "answer": answer, "f1": value}
            for question, reference, answer, value in zip(context.questions(), references, answers, each, strict=True)
        ),
        # one number a row, for the interval: 'over' instead, for a figure that is no mean of its rows
        each={"word-f1": each, "close": enough},
    )


def f1(answer: str, reference: str) -> float:
    """Between 0 and 1: the harmonic mean of the words that are right and of those that are there."""
    given, wanted = Counter(answer.casefold().split()), Counter(reference.casefold().split())
    if not given or not wanted:
        return float(given == wanted)
    common = (given & wanted).total()
    return 2 * common / (given.total() + wanted.total())


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


@hookimpl
def graftlm_evaluators() -> Iterable[Evaluator]:
    # name is what --evaluator takes, and the options are --set evaluator.enough=…
    yield Evaluator(
        name="acme",
        summary="words of the answers that are right, and of the references that are there",
        target="graftlm_acme:score",
        metrics=(
            Metric(name="word-f1", unit="fraction", higher_is_better=True),
            Metric(name="close", unit="fraction", higher_is_better=True),
        ),
        options=(
            Option(
                name="enough", type="float", default=0.8, minimum=0, maximum=1,
                help="F1 from which an answer counts as close",
            ),
        ),
        suite="graftlm_acme.conformance:AcmeSuite",
    )  # fmt: skip
