"""A regular expression that a right answer matches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graftlm.api import Evaluator, Metric, Option, hookimpl

if TYPE_CHECKING:
    from graftlm.api import EvaluationContext, EvaluationResult


def score(context: EvaluationContext) -> EvaluationResult:
    """The share of answers in which the pattern is found. Where it has a group and finds the reference too, the group's
    text must be the same in both: ``Answer: (\\d+)`` compares the numbers.
    """
    from graftlm.api import EvaluationResult

    from .answering import answered, mean

    pattern = re.compile(str(context.options["pattern"]))
    found = answered(context)
    right = [_right(pattern, answer, ref) for answer, ref in zip(found.answers, found.references, strict=True)]
    return EvaluationResult(
        values={"pattern": mean(right)}, samples=found.samples(right=right), each={"pattern": right}
    )


def _right(pattern: re.Pattern[str], answer: str, reference: str) -> bool:
    given, wanted = pattern.search(answer), pattern.search(reference)
    if given is None:
        return False
    return not pattern.groups or wanted is None or given.groups() == wanted.groups()


def against(options: Mapping[str, Any]) -> Sequence[str]:
    """Reasons that the options give."""
    if not options.get("pattern"):
        return ("needs a regular expression: --set evaluator.pattern='Answer: (\\d+)'",)
    try:
        re.compile(str(options["pattern"]))
    except re.error as error:
        return (f"evaluator.pattern is no regular expression: {error}",)
    return ()


@hookimpl
def graftlm_evaluators() -> Iterable[Evaluator]:
    yield Evaluator(
        name="regex",
        summary="share of answers that match a pattern",
        metrics=(Metric(name="pattern", unit="fraction", higher_is_better=True),),
        target="graftlm_plugins.evaluators.pattern:score",
        options=(Option(name="pattern", type="str", default="", help="Regular expression to find in the answers"),),
        check=against,
    )
