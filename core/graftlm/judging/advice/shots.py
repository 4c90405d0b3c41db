"""Which training rows are shown as examples before a question.

Every row that is asked has a draw of its own, seeded by its words, so that a score is not the luck of one draw; and
more examples are the fewer ones with others added, so that a curve over their number is of one cloth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from graftlm.contracts.conversation import Conversation
from graftlm.data.splitting import class_of, fingerprint, normalised

from .similarity import cosines

if TYPE_CHECKING:
    from numpy.typing import NDArray

Choice = Literal["random", "similar", "balanced"]
SEED = 0


@dataclass(frozen=True)
class Shots:
    """Examples out of ``pool`` for the rows ``asked``."""

    pool: Sequence[Conversation]
    asked: Sequence[Conversation]

    def chosen(self, row: int, choice: Choice, count: int) -> tuple[Conversation, ...]:
        """``count`` examples for a row (or as many as there are), in the order in which they are shown; of similar ones
        the most similar last. None asks what the row asks.
        """
        drawn = self._drawn(row)
        if choice == "balanced":
            drawn = list(self._balanced(drawn, row, count))
        elif choice == "similar":
            near = self._similarities[row]
            drawn = sorted(drawn, key=lambda place: -near[place])
        taken = [self.pool[place] for place in drawn[:count]]
        return tuple(reversed(taken)) if choice == "similar" else tuple(taken)

    def _drawn(self, row: int) -> list[int]:
        """All that may be shown, in the row's own random order."""
        own = self._marks[row]
        places = [i for i, mark in enumerate(self._pool_marks) if mark != own]
        Random(f"{SEED} {own}").shuffle(places)
        return places

    def _balanced(self, drawn: Sequence[int], row: int, count: int) -> Iterator[int]:
        """A class's second example comes after every class had its first."""
        waiting: dict[str, list[int]] = {}
        for place in reversed(drawn):
            waiting.setdefault(self._labels[place], []).append(place)
        rng, given = Random(f"{SEED} classes {self._marks[row]}"), 0
        while given < count and waiting:
            for label in rng.sample(sorted(waiting), len(waiting)):
                yield waiting[label].pop()
                given += 1
                if not waiting[label]:
                    del waiting[label]

    @cached_property
    def _marks(self) -> list[int]:
        return [fingerprint(row) for row in self.asked]

    @cached_property
    def _pool_marks(self) -> list[int]:
        return [fingerprint(row) for row in self.pool]

    @cached_property
    def _labels(self) -> list[str]:
        return [class_of(row) for row in self.pool]

    @cached_property
    def _similarities(self) -> NDArray[Any]:
        return cosines([normalised(row) for row in self.asked], [normalised(row) for row in self.pool])


def shown_before(row: Conversation, shots: Sequence[Conversation]) -> Conversation:
    """The row with examples as turns before its own. Its system text stays first; those of the examples are left out,
    and so are examples with other tools. The examples' answers count in no loss.
    """
    turns = [
        replace(message, train=False) if message.role == "assistant" else message
        for shot in shots
        if shot.tools == row.tools
        for message in shot.messages
        if message.role != "system"
    ]
    start = next((i for i, message in enumerate(row.messages) if message.role != "system"), 0)
    return replace(row, messages=(*row.messages[:start], *turns, *row.messages[start:]))


def told_before(row: Conversation, words: str) -> Conversation:
    """The row with ``words`` before the text of its last user turn."""
    last = max(i for i, message in enumerate(row.messages) if message.role == "user")
    told = replace(row.messages[last], content=words + row.messages[last].content)
    return replace(row, messages=(*row.messages[:last], told, *row.messages[last + 1 :]))
