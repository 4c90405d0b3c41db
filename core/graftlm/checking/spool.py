"""Sets of numbers in a temporary file, to be compared two at a time."""

from __future__ import annotations

import tempfile
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from .shingles import U64

REMEMBERED = 64
"""Sets that are kept at hand."""


class SetSpool:
    """Sorted sets of 64-bit numbers by row. ``expect`` says which rows will come, in order."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the search
        self._rows: NDArray[np.int64] = np.empty(0, np.int64)
        self._ends: NDArray[np.int64] = np.zeros(1, np.int64)
        self._written = 0
        self._near: OrderedDict[int, U64] = OrderedDict()

    def expect(self, rows: NDArray[np.int64]) -> None:
        self._rows, self._ends = rows, np.zeros(len(rows) + 1, np.int64)

    def write(self, numbers: U64) -> None:
        self._file.write(numbers.tobytes())
        self._ends[self._written + 1] = self._ends[self._written] + len(numbers)
        self._written += 1

    def similarity(self, one: int, other: int, threshold: float) -> float:
        """Jaccard's: common numbers over all numbers; 0 where it is below the threshold."""
        left, right = self._read(one), self._read(other)
        least, most = sorted((len(left), len(right)))
        if not least or least < threshold * most:
            return 0.0
        common = len(np.intersect1d(left, right, assume_unique=True))
        alike = common / (least + most - common)
        return alike if alike >= threshold else 0.0

    def _read(self, row: int) -> U64:
        known = self._near.get(row)
        if known is not None:
            return known
        place = int(np.searchsorted(self._rows, row))
        begin, end = int(self._ends[place]), int(self._ends[place + 1])
        self._file.seek(8 * begin)
        found = np.frombuffer(self._file.read(8 * (end - begin)), np.uint64)
        self._near[row] = found
        if len(self._near) > REMEMBERED:
            self._near.popitem(last=False)
        return found

    def close(self) -> None:
        self._file.close()
