"""What is wrong with training rows, as far as it would spoil a training: it is mended before anything is tuned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graftlm.contracts.conversation import Conversation
from graftlm.data.splitting import class_of, fingerprint, folded

from .material import Material

FEWEST_ROWS = 50
"""Different questions in training, from which a tuning is worth a try."""
FEWEST_OF_A_CLASS = 5
NOTABLE = 0.1
"""Share of the asked rows that a fault touches, from which it counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """``message`` says what is wrong and what to collect, and ``figures`` hold its numbers."""

    kind: str
    message: str
    figures: Mapping[str, Any]


def faults(material: Material, ceiling_for: float | None) -> tuple[Fault, ...]:
    """``ceiling_for`` is the share of right answers that is wanted, where an answer is right or wrong: rows that
    contradict each other may make it impossible.
    """
    if not material.train:
        message = "there are no training rows: collect questions with right answers"
        return (Fault(kind="no-training-rows", message=message, figures={"rows": 0}),)
    found = [_few(material.train), _contradicting(material.train, ceiling_for), _scarce(material)]
    return tuple(fault for fault in found if fault is not None)


def ceiling(rows: Sequence[Conversation]) -> float:
    """The share of rows that one answer to each question could get right, at best."""
    answers: dict[int, Counter[str]] = {}
    for row in rows:
        answers.setdefault(fingerprint(row), Counter())[folded(row.answer)] += 1
    return sum(max(said.values()) for said in answers.values()) / len(rows) if rows else 1.0


def _few(rows: Sequence[Conversation]) -> Fault | None:
    questions = len({fingerprint(row) for row in rows})
    if questions >= FEWEST_ROWS:
        return None
    asked = "1 different question" if questions == 1 else f"{questions} different questions"
    return Fault(
        kind="few-rows",
        message=f"training has only {asked}: collect {FEWEST_ROWS} or more, on what the model gets wrong",
        figures={"questions": questions, "fewest": FEWEST_ROWS},
    )


def _contradicting(rows: Sequence[Conversation], wanted: float | None) -> Fault | None:
    best = ceiling(rows)
    if wanted is None or best >= wanted:
        return None
    return Fault(
        kind="contradicting-rows",
        message=f"training rows contradict each other: the same question has several answers, so that no model can get "
        f"more than {best:.0%} of them right, and {wanted:.0%} is wanted (graftlm data check DATA shows them)",
        figures={"ceiling": best, "wanted": wanted},
    )


def _scarce(material: Material) -> Fault | None:
    """Classes that the asked rows have and training nearly lacks."""
    if not material.classes:
        return None
    questions: dict[str, set[int]] = {}
    for row in material.train:
        questions.setdefault(class_of(row), set()).add(fingerprint(row))
    asked = Counter(class_of(row) for row in material.asked)
    scarce = {label: len(questions.get(label, ())) for label in sorted(asked)}
    scarce = {label: count for label, count in scarce.items() if count < FEWEST_OF_A_CLASS}
    touched = sum(asked[label] for label in scarce)
    if touched < NOTABLE * len(material.asked):
        return None
    named = ", ".join(f"'{label}' {count}" for label, count in list(scarce.items())[:8])
    more = f" and {len(scarce) - 8} more" if len(scarce) > 8 else ""
    classes = "1 class has" if len(scarce) == 1 else f"{len(scarce)} classes have"
    return Fault(
        kind="scarce-classes",
        message=f"{classes} fewer than {FEWEST_OF_A_CLASS} training rows ({named}{more}), and "
        f"{touched} of the {len(material.asked)} rows asked are of them: collect rows of these classes",
        figures={"classes": scarce, "asked": touched, "fewest": FEWEST_OF_A_CLASS},
    )
