"""MinHash: sets that are alike get signatures that are alike, and some equal bands of them."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from .shingles import MIX, U64, Places, mixed

HASHES = 128
RECALL = 0.99
"""Share of the pairs at the threshold that a choice of bands must find."""

U32 = NDArray[np.uint32]


def bands_for(threshold: float) -> tuple[int, int]:
    """(bands, hashes a band): the longest bands, which bring the fewest false candidates, that find enough."""
    for rows in range(16, 1, -1):
        bands = HASHES // rows
        if recall(threshold, bands, rows) >= RECALL:
            return bands, rows
    return HASHES, 1


def recall(similarity: float, bands: int, rows: int) -> float:
    """How probable it is that two sets of this Jaccard similarity share a band."""
    return float(1 - (1 - similarity**rows) ** bands)


@cache
def _seeds() -> tuple[U32, U32]:
    numbers = mixed(np.arange(1, 2 * HASHES + 1, dtype=np.uint64) * MIX[1])
    high = (numbers >> np.uint64(32)).astype(np.uint32)
    return high[:HASHES] | np.uint32(1), high[HASHES:]


def band_keys(values: U64, counts: Places, bands: int, rows: int) -> U32:
    """Keys of shape (sets, bands); ``counts`` are the sizes of the sets, none of them 0."""
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    hashes = (values >> np.uint64(32)).astype(np.uint32)
    scratch = np.empty_like(hashes)
    least = np.empty(len(counts), np.uint32)
    keys = np.empty((len(counts), bands), np.uint32)
    factors, offsets = _seeds()
    for band in range(bands):
        key: U64 = np.zeros(len(counts), np.uint64)
        for number in range(band * rows, (band + 1) * rows):
            np.multiply(hashes, factors[number], out=scratch)
            np.add(scratch, offsets[number], out=scratch)
            np.minimum.reduceat(scratch, starts, out=least)
            key = mixed(np.add(key, least, dtype=np.uint64))
        keys[:, band] = key >> np.uint64(32)
    return keys
