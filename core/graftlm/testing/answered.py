"""Answers that were given, in the place of a model: what an evaluator is handed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """``answers`` to questions whose right answers are the ``references``, and the figures that are ``wanted``, by
    metric. ``losses`` are of answers, in nats for the whole of one; ``likely`` is each row's likeliest answer, with a
    tenth of a nat a token, where all others have five. A token is a character here, and has a nat where nothing is
    said. ``taught`` are answers that the training rows give again and again. ``unfit`` of the rows, the last ones, do
    not fit the model's positions.
    """

    references: tuple[str, ...]
    answers: tuple[str, ...]
    wanted: Mapping[str, float] = field(default_factory=dict)
    losses: Mapping[str, float] = field(default_factory=dict)
    likely: tuple[str, ...] = ()
    taught: frozenset[str] = frozenset()
    options: Mapping[str, Any] = field(default_factory=dict)
    unfit: int = 0

    def turned(self) -> Example:
        """The rows the other way round."""
        return self._with(slice(None, None, -1))

    def cut(self, row: int) -> Example:
        """One row alone."""
        return replace(self._with(slice(row, row + 1)), wanted={})

    def _with(self, rows: slice) -> Example:
        return replace(self, references=self.references[rows], answers=self.answers[rows], likely=self.likely[rows])

    def loss(self, row: int, text: str) -> float:
        """Of a text in the place of a row's answer, in nats."""
        each = 1.0 if not self.likely else 0.1 if text == self.likely[row] else 5.0
        return self.losses.get(text, each * max(1, len(text)))


def right(example: Example, wrong_answer: str) -> Example:
    """Every answer is the reference, and is likelier than any other."""
    return replace(
        example, answers=example.references, likely=example.references, wanted={}, losses={},
        taught=frozenset({wrong_answer}),
    )  # fmt: skip


def wrong(example: Example, wrong_answer: str) -> Example:
    """No answer is the reference, and another row's is likelier."""
    known = tuple(dict.fromkeys(example.references))
    others = tuple(next((text for text in known if text != own), wrong_answer) for own in example.references)
    answers = tuple(wrong_answer for _ in example.references)
    return replace(example, answers=answers, likely=others, wanted={}, losses={}, taught=frozenset({wrong_answer}))


ODD = (
    "", " ", "\n\n", "\t", "0", "nan", "None", "null", "{", "[" * 3000, '{"a": ', "```", "```json\n```", "\\", "(?P<",
    "%s", "\u00e9e\u0301", "\u202eback", "\U0001f984" * 3, "\u4e2d\u6587\uff0c", "\x00", "<|im_end|>", "a b " * 5000,
    "x" * 20000,
)  # fmt: skip
"""What a model may answer."""


def odd(example: Example) -> Example:
    """The example's references in turn, to each of which a model answers one of the odd things."""
    count = len(example.references)
    references = tuple(example.references[i % count] for i in range(len(ODD)))
    return replace(example, references=references, answers=ODD, likely=(), wanted={})


class Answers:
    """An ``EvaluationContext`` of an example."""

    def __init__(self, example: Example, options: Mapping[str, Any]) -> None:
        self.example, self.options, self.losses_asked = example, dict(options), False
        self.taught = example.taught
        self._references, self._answers = list(example.references), list(example.answers)
        self._questions = [f"Question {i}" for i in range(len(example.references))]

    @property
    def longest_reference(self) -> int:
        return max(map(len, self.example.references), default=0) + 2

    def questions(self) -> Sequence[str]:
        return self._questions

    def references(self) -> Sequence[str]:
        return self._references

    def generate(self, max_new_tokens: int) -> list[str]:
        return self._answers

    def answer_losses(self, answers: Sequence[str] | None = None) -> list[tuple[float, int]]:
        self.losses_asked = True
        texts = self.example.references if answers is None else answers
        fits = len(texts) - self.example.unfit
        return [
            (self.example.loss(row, text), max(1, len(text))) if row < fits else (0.0, 0)
            for row, text in enumerate(texts)
        ]

    def state(self) -> Mapping[str, Any]:
        """What belongs to others, too."""
        return {
            "questions": self._questions, "references": self._references, "answers": self._answers,
            "options": self.options,
        }  # fmt: skip
