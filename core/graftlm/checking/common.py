"""What most rows share says nothing about two of them: it is the prompt of a task, not the row."""

from __future__ import annotations

import numpy as np

from .shingles import U64, Places

ENOUGH = 100
"""Rows from which it can be said."""
SHARED_BY = 0.5


class CommonShingles:
    """Words and pairs that more than half of the first rows hold."""

    def __init__(self) -> None:
        self._common: U64 = np.empty(0, np.uint64)
        self.share = 0.0
        """Of the words and pairs of the first rows, those that are left out."""

    def learn(self, values: U64, counts: Places) -> None:
        if len(counts) < ENOUGH:
            return
        owners = np.repeat(np.arange(len(counts)), counts)
        order = np.lexsort((owners, values))
        values, owners = values[order], owners[order]
        new = np.concatenate(([True], (values[1:] != values[:-1]) | (owners[1:] != owners[:-1])))
        different, rows = np.unique(values[new], return_counts=True)
        common = rows > SHARED_BY * len(counts)
        self._common = different[common]
        self.share = float(rows[common].sum() / max(1, rows.sum()))

    def without(self, values: U64, counts: Places) -> tuple[U64, Places]:
        """The others, and how many are left of each row."""
        if not len(self._common) or not len(values):
            return values, counts
        place = np.minimum(np.searchsorted(self._common, values), len(self._common) - 1)
        kept = self._common[place] != values
        owners = np.repeat(np.arange(len(counts)), counts)
        return values[kept], np.bincount(owners[kept], minlength=len(counts))
