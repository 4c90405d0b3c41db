"""Answers beside their references, as the evaluators of greedy answers need them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graftlm.api import EvaluationContext


@dataclass(frozen=True, slots=True)
class Answered:
    """White space at both ends is off, of references and answers."""

    questions: Sequence[str]
    references: Sequence[str]
    answers: Sequence[str]

    def samples(self, **more: Sequence[Any]) -> tuple[Mapping[str, Any], ...]:
        """One dict a row, with one value of each of ``more``."""
        rows = zip(self.questions, self.references, self.answers, strict=True)
        return tuple(
            {"question": question, "reference": reference, "answer": answer, **{k: v[i] for k, v in more.items()}}
            for i, (question, reference, answer) in enumerate(rows)
        )


def answered(context: EvaluationContext) -> Answered:
    """An answer goes on for as long as the longest reference: one that is longer is none of the right ones."""
    answers = context.generate(context.longest_reference)
    return Answered(
        context.questions(), [text.strip() for text in context.references()], [text.strip() for text in answers]
    )


def mean(values: Sequence[float]) -> float:
    """0 of nothing."""
    return sum(values) / len(values) if values else 0.0
