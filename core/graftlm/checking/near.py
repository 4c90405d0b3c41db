"""Rows that are nearly the same.

Two rows are, where the Jaccard similarity of their words and pairs of words (all turns but the system's; what more than
half of the first rows share is left out, for it is the prompt of a task) reaches a threshold. MinHash finds candidates
(at the default threshold, 128 hashes in 16 bands find 99 of 100 pairs that are just similar enough, and more of those
that are closer), and each is then compared in truth: what is told is so. In a band, a row is compared with at most four
others of each side, so of many that are alike not every pair is found.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graftlm.contracts.conversation import Conversation

from .common import CommonShingles
from .minhash import U32, band_keys, bands_for
from .places import First
from .repeats import sharing
from .shingles import LONGEST, U64, shingles
from .spool import SetSpool

BATCH_ROWS, BATCH_CHARACTERS = 512, 200_000
LEADERS = 4
LEAST_COMPARED = 200_000
"""Comparisons that are always allowed; more rows allow more."""
CHUNK = 1 << 16

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Pairs are (row, the row before it that it resembles, similarity), and for leaks (row that is kept from training,
    row that is trained on, similarity). ``shared`` is the share of words and pairs that most rows have, and which are
    left out. ``complete`` is false where there was too much to compare.
    """

    repeats: First[tuple[int, int, float]]
    leaks: First[tuple[int, int, float]]
    shared: float
    complete: bool


def words_of(conversation: Conversation) -> str:
    """What is compared of a row."""
    return " ".join(m.content[:LONGEST] for m in conversation.messages if m.role != "system")


class NearSearch:
    """Give it every row once (``add``), then those that ``candidates`` chose once more (``keep``), then ask for
    ``pairs``. Memory: two bits a row and what one band needs while it is looked at; the rest is in temporary files.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._bands, self._hashes = bands_for(threshold)
        self._texts: list[str] = []
        self._characters = 0
        self._common = CommonShingles()
        self._keys = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the search
        self._rows = 0
        self._sets = SetSpool()

    def add(self, conversation: Conversation) -> None:
        text = words_of(conversation)
        self._texts.append(text)
        self._characters += len(text)
        if len(self._texts) >= BATCH_ROWS or self._characters >= BATCH_CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        if not self._texts:
            return
        values, counts = shingles(self._texts)
        if not self._rows:
            self._common.learn(values, counts)
        values, counts = self._common.without(values, counts)
        there = counts > 0
        keys = np.zeros((len(counts), self._bands), np.uint32)
        if there.any():
            keys[there] = band_keys(values, counts[there], self._bands, self._hashes)
        self._keys.write(keys.tobytes())
        self._rows += len(counts)
        self._texts, self._characters = [], 0

    def candidates(self, eligible: Mask) -> Mask:
        """Rows that share a band with another; rows that are not ``eligible`` (they are known to be repeats) are left
        out for good.
        """
        self._flush()
        self._left_out = np.flatnonzero(~eligible)
        chosen = np.zeros(len(eligible), bool)
        for band in range(self._bands):
            for group in self._groups(band):
                chosen[group] = True
        self._sets.expect(np.flatnonzero(chosen))
        return chosen

    def keep(self, conversation: Conversation) -> None:
        """The next of the candidates, in the order of rows."""
        self._sets.write(self._own_set(words_of(conversation)))

    def _own_set(self, text: str) -> U64:
        values, _ = self._common.without(*shingles([text]))
        return np.unique(values)

    def pairs(self, held: Mask, same_question: U64) -> Found:
        """``held``: rows that are kept from training. Two rows of one ``same_question`` are told elsewhere."""
        repeats: First[tuple[int, int, float]] = First()
        leaks: First[tuple[int, int, float]] = First()
        repeated, leaked = np.zeros(self._rows, bool), np.zeros(self._rows, bool)
        left = max(LEAST_COMPARED, 2 * self._rows)
        splits = bool(held.any())
        for band in range(self._bands):
            for group in self._groups(band):
                leaders: tuple[list[int], list[int]] = ([], [])
                for row in sorted(group.tolist(), key=lambda r: (held[r], r)):  # those that are trained on first
                    side = bool(held[row])
                    if repeated[row] and (leaked[row] or not splits):
                        continue
                    for other in (*leaders[0], *leaders[1]):
                        if left <= 0:
                            return Found(repeats=repeats, leaks=leaks, shared=self._common.share, complete=False)
                        if same_question[row] == same_question[other]:
                            continue
                        crosses = side and not held[other]
                        late, early = max(row, other), min(row, other)
                        if repeated[late] and not (crosses and not leaked[row]):
                            continue
                        left -= 1
                        alike = self._sets.similarity(row, other, self._threshold)
                        if not alike:
                            continue
                        if not repeated[late]:
                            repeated[late] = True
                            repeats.add(late, (late, early, alike))
                        if crosses and not leaked[row]:
                            leaked[row] = True
                            leaks.add(row, (row, other, alike))
                    if len(leaders[side]) < LEADERS:
                        leaders[side].append(row)
        return Found(repeats=repeats, leaks=leaks, shared=self._common.share, complete=True)

    def _groups(self, band: int) -> Iterator[NDArray[np.int64]]:
        """Rows that share a key of the band, two or more at a time."""
        keys = self._band(band)
        keys[self._left_out] = 0
        keys_there = sharing(keys)
        rows = keys_there[keys[keys_there] != 0]  # a key of 0: a row without a word of its own, or left out
        rows = rows[np.argsort(keys[rows], kind="stable")]
        ends = np.flatnonzero(keys[rows[1:]] != keys[rows[:-1]]) + 1
        begin = 0
        for end in (*ends, len(rows)) if len(rows) else ():
            yield rows[begin:end]
            begin = end

    def _band(self, band: int) -> U32:
        found = np.empty(self._rows, np.uint32)
        self._keys.seek(0)
        width = 4 * self._bands
        for begin in range(0, self._rows, CHUNK):
            part = np.frombuffer(self._keys.read(width * CHUNK), np.uint32).reshape(-1, self._bands)
            found[begin : begin + len(part)] = part[:, band]
        return found

    def close(self) -> None:
        """Remove the temporary files."""
        self._keys.close()
        self._sets.close()
