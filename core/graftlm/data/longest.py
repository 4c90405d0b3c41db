"""The longest rows of a pass over the data."""

from __future__ import annotations

from heapq import heappop, heappush

from graftlm.contracts.conversation import Conversation

from .rows import write_row

KEPT = 32
"""Rows: bytes are no tokens, so that several times as many are kept as a packed row has, as a rule."""
LONGEST_KEPT = 200_000
"""Bytes: a longer row has more tokens than any sample may."""


class Longest:
    """The training rows that are likely to have the most tokens: a plan's memory is reckoned by them."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str]] = []
        self._count = 0
        self._beyond = False

    def add(self, size: int, conversation: Conversation) -> None:
        self._count += 1
        self._beyond = self._beyond or size > LONGEST_KEPT
        if self._beyond or (len(self._heap) == KEPT and size <= self._heap[0][0]):
            return
        heappush(self._heap, (size, self._count, write_row(conversation).decode()))
        if len(self._heap) > KEPT:
            heappop(self._heap)

    def rows(self) -> tuple[str, ...]:
        return () if self._beyond else tuple(row for _, _, row in sorted(self._heap, reverse=True))
