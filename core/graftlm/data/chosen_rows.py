"""Which training rows are taken: a number of them, or those of one capability."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heappush, heappushpop

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import DataError

from .rows import content
from .splitting import SplitName

Rows = Iterator[tuple[SplitName, Conversation]]
SALT = b"graftlm: data size\0"
SHOWN = 20
"""Capabilities that a refusal lists."""


def draw(salt: bytes, conversation: Conversation) -> int:
    """A number that depends on a row's content alone, and on nothing that decides its split."""
    return int.from_bytes(hashlib.sha256(salt + content(conversation)).digest()[:8], "big")


class Lowest:
    """At most ``most`` rows, those of the lowest numbers: fewer are among more, in any order of the file."""

    def __init__(self, most: int) -> None:
        self.seen = 0
        self._most = most
        self._heap: list[int] = []
        """The lowest numbers so far, negative: the highest of them comes first."""

    def add(self, number: int) -> None:
        self.seen += 1
        if len(self._heap) < self._most:
            heappush(self._heap, -number)
        else:
            heappushpop(self._heap, -number)

    def __len__(self) -> int:
        return len(self._heap)

    def takes(self) -> Callable[[int], bool]:
        """For a second pass: whether the row of this number is one of them. Of equal rows, the first are."""
        highest = -self._heap[0] if self._heap else -1
        equal = self._heap.count(-highest)

        def take(number: int) -> bool:
            nonlocal equal
            if number == highest and equal:
                equal -= 1
                return True
            return number < highest

        return take


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """``capability``: training and validation rows of it alone. ``size``: as many of the training rows. Test rows stay
    all.
    """

    capability: str | None = None
    size: int | None = None

    def among(self, read: Callable[[], Rows], reference: str) -> Rows:
        """The chosen rows of all that ``read`` reads, in their order; ``DataError`` where there are none, or too few.

        Rows are read twice, so that not all of them lie in memory.
        """
        if self.capability is None and self.size is None:
            yield from read()
            return
        lowest = self._lowest(read(), reference)
        taken, take = 0, lowest.takes() if lowest is not None else None
        for name, conversation in read():
            if name != "test" and not self._has(conversation):
                continue
            if name == "train":
                if take is not None and not take(draw(SALT, conversation)):
                    continue
                taken += 1
            yield name, conversation
        if lowest is not None and taken != len(lowest):
            raise DataError(f"{reference} changed while it was read: start again")

    def _has(self, conversation: Conversation) -> bool:
        return self.capability is None or conversation.capability == self.capability

    def _lowest(self, rows: Rows, reference: str) -> Lowest | None:
        """The training rows of the size that is asked for."""
        lowest = Lowest(self.size or 0)
        names: Counter[str] = Counter()
        for name, conversation in rows:
            if name == "train":
                names[conversation.capability] += 1
                if self.size is not None and self._has(conversation):
                    lowest.add(draw(SALT, conversation))
        if not names:  # nothing to train on at all is said elsewhere
            return None
        if self.capability is not None and not names[self.capability]:
            raise DataError(
                f"no training row of {reference} is of the capability '{self.capability}': {_listed(names)}"
            )
        if self.size is None:
            return None
        if lowest.seen < self.size:
            of = f" of the capability '{self.capability}'" if self.capability is not None else ""
            raise DataError(
                f"{reference} has {lowest.seen:,} training rows{of}, and --data-size is {self.size:,}: "
                "ask for fewer, or bring more"
            )
        return lowest


def _listed(names: Counter[str]) -> str:
    said = [f"{name} ({rows:,})" for name, rows in sorted(names.items()) if name and rows]
    if not said:
        return "its rows name none (field 'capability')"
    more = [f"{len(said) - SHOWN} more"] if len(said) > SHOWN else []
    unnamed = [f"{names['']:,} rows that name none"] if names[""] else []
    return f"there are {', '.join([*said[:SHOWN], *more, *unnamed])}"
