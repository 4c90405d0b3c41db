"""Where each row stands, in four bytes a row; eight where rows share lines."""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

SHOWN = 10
"""Examples that are kept of each finding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Several:
    """``rows`` to which something applies, and the places of the first (each perhaps with more)."""

    rows: int = 0
    first: tuple[str, ...] = ()


class Seen:
    """Rows to which something applies, as they go by."""

    def __init__(self) -> None:
        self._rows = 0
        self._first: list[str] = []

    def add(self, place: str) -> None:
        self._rows += 1
        if len(self._first) < SHOWN:
            self._first.append(place)

    def counted(self) -> Several:
        return Several(rows=self._rows, first=tuple(self._first))


class Places:
    """``file:line``, or ``file:line (record 6)``, of every row, by its number from 0."""

    def __init__(self) -> None:
        self._lines = array("I")
        self._records = array("I")  # as long as it must be: up to the last row that has one
        self._labels: list[str] = []
        self._starts: list[int] = []

    def add(self, source: str) -> None:
        label, _, place = source.rpartition(":")
        line, _, record = place.partition(" (record ")
        if not self._labels or label != self._labels[-1]:
            self._labels.append(label)
            self._starts.append(len(self._lines))
        if record:
            self._records.frombytes(bytes(self._records.itemsize * (len(self._lines) - len(self._records))))
            self._records.append(int(record.removesuffix(")")))
        self._lines.append(int(line))

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, row: int) -> str:
        place = f"{self._labels[bisect_right(self._starts, row) - 1]}:{self._lines[row]}"
        record = self._records[row] if row < len(self._records) else 0
        return f"{place} (record {record})" if record else place


class First(Generic[T]):
    """The examples with the smallest row numbers, in whatever order they are found. ``found`` counts them all."""

    def __init__(self, most: int = SHOWN) -> None:
        self._most = most
        self._heap: list[tuple[int, int, T]] = []
        self.found = 0

    def add(self, row: int, example: T) -> None:
        self.found += 1
        entry = (-row, -self.found, example)
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, entry)
        elif entry > self._heap[0]:
            heapq.heapreplace(self._heap, entry)

    @property
    def examples(self) -> tuple[T, ...]:
        return tuple(example for _, _, example in sorted(self._heap, key=lambda entry: (-entry[0], -entry[1])))
