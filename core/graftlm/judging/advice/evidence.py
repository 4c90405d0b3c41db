"""What a recommendation is made from: the prompts with their scores, the rows, and the price of a training."""

from __future__ import annotations

from dataclasses import dataclass

from .faults import Fault
from .knowledge import Knowledge
from .variants import Tried

BACKWARD = 3
"""Tokens that could be read for the work of training on one: forward, and twice that backward."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of training with the default settings: ``tokens`` in a row, on average."""

    rows: int
    tokens: float
    epochs: float

    @property
    def read(self) -> float:
        """Tokens that could be read for the same work."""
        return BACKWARD * self.rows * self.tokens * self.epochs

    def calls(self, extra: float) -> int | None:
        """How many calls with ``extra`` tokens each cost as much; None where they cost nothing."""
        return int(self.read / extra) + 1 if extra > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """``tried`` holds at least one prompt that was asked. ``calls`` are those that are expected, if anybody said."""

    tried: tuple[Tried, ...]
    good_enough: float
    knowledge: Knowledge
    faults: tuple[Fault, ...]
    classes: int
    cost: Cost
    calls: int | None = None

    @property
    def asked(self) -> tuple[Tried, ...]:
        return tuple(tried for tried in self.tried if tried.scores)

    @property
    def unjudged(self) -> tuple[Tried, ...]:
        """What nothing was cut out of, and is not good enough as it stands: that says nothing against the prompt."""
        return tuple(tried for tried in self.asked if tried.unmarked and not self.reaches(tried.score.value))

    @property
    def best(self) -> Tried:
        """The highest score; of equal ones the one with the fewest tokens."""
        sign = 1 if self.asked[0].score.higher_is_better else -1
        return min(self.asked, key=lambda t: (-sign * t.score.value, t.price))

    def reaches(self, value: float) -> bool:
        return value >= self.good_enough if self.asked[0].score.higher_is_better else value <= self.good_enough
