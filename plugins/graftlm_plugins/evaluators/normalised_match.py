"""Normalised match: the answer is the reference, whatever its capitals, articles, punctuation and spaces."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

from graftlm.api import Evaluator, Metric, hookimpl

if TYPE_CHECKING:
    from graftlm.api import EvaluationContext, EvaluationResult

ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalised(text: str) -> str:
    """Lower case, without punctuation and English articles, single spaces: as question answering is usually scored
    (SQuAD), for any script. What would leave nothing stays as it is.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    bare = "".join(" " if unicodedata.category(c).startswith("P") else c for c in folded)
    words = " ".join(ARTICLES.sub(" ", bare).split())
    return words or " ".join(folded.split())


def score(context: EvaluationContext) -> EvaluationResult:
    """The share of rows whose answer is right."""
    from graftlm.api import EvaluationResult

    from .answering import answered, mean

    found = answered(context)
    pairs = zip(found.answers, found.references, strict=True)
    right = [normalised(answer) == normalised(reference) for answer, reference in pairs]
    return EvaluationResult(
        values={"normalised-match": mean(right)}, samples=found.samples(right=right), each={"normalised-match": right}
    )


@hookimpl
def graftlm_evaluators() -> Iterable[Evaluator]:
    yield Evaluator(
        name="normalised-match",
        summary="the same without capitals, punctuation and articles",
        metrics=(Metric(name="normalised-match", unit="fraction", higher_is_better=True),),
        target="graftlm_plugins.evaluators.normalised_match:score",
    )
