"""The prompts that are tried, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from graftlm.contracts.outcome import Score

from .shots import Choice

Kind = Literal["zero-shot", "few-shot", "chain-of-thought", "thinking"]
COUNTS = (1, 2, 4, 8, 16, 32)
"""Numbers of examples that are tried, unless others are named."""
EACH = (1, 2)
"""Examples of each class that are tried, where answers are classes."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to prompt. ``count`` examples are chosen by ``choice``; ``each`` of them for every class, where that is
    what the count is for.
    """

    kind: Kind
    choice: Choice | None = None
    count: int = 0
    each: int = 0

    @property
    def name(self) -> str:
        """As it is kept, and shown."""
        return self.kind if self.choice is None else f"few-shot {self.choice} {self.count}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What a variant gave. ``scores`` holds the metric that decides first; it is empty where the variant was not asked,
    for the reason ``why_not``. ``each`` is that metric's number of each row, where there is one.

    ``prompt_tokens`` and ``answer_tokens`` are means a call, ``longest`` the tokens of the longest prompt, and
    ``longest_row`` its number among the rows asked. ``extra`` is
    what a call takes more than the bare question with a right answer: examples, and thoughts. It is ``unmarked`` where
    an answer should be cut out at a marker, and no answer had it; ``note`` says what has to be known of the scores.
    """

    variant: Variant
    scores: tuple[Score, ...] = ()
    each: tuple[float, ...] = ()
    prompt_tokens: float = 0.0
    answer_tokens: float = 0.0
    extra: float = 0.0
    longest: int = 0
    longest_row: int = 0
    folder: Path | None = None
    why_not: str = ""
    unmarked: bool = False
    note: str = ""

    @property
    def price(self) -> float:
        """What is extra, as it is compared: a prompt that happens to be shorter than the bare question is as cheap."""
        return max(0.0, self.extra)

    @property
    def score(self) -> Score:
        return self.scores[0]

    @property
    def low(self) -> float:
        """The cautious end of the interval, the value itself where there is none: of a metric that is better when it is
        lower, what counts is the other end.
        """
        end = self.score.low if self.score.higher_is_better else self.score.high
        return self.score.value if end is None else end

    @property
    def high(self) -> float:
        """The hopeful end."""
        end = self.score.high if self.score.higher_is_better else self.score.low
        return self.score.value if end is None else end


def few_shot(counts: Sequence[int], classes: int, pool: int) -> tuple[Variant, ...]:
    """By choice, then by number; no more than there are rows to choose from."""
    choices: tuple[Choice, ...] = ("random", "similar")
    plain = [Variant("few-shot", choice, k) for choice in choices for k in counts]
    each = {classes * n: n for n in EACH} if classes > 1 else {}
    balanced = sorted({*counts, *each}) if each else []
    found = [*plain, *(Variant("few-shot", "balanced", k, each.get(k, 0)) for k in balanced)]
    return tuple(variant for variant in found if variant.count <= pool)
