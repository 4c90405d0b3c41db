"""Texts as sets of numbers: their words, and pairs of words that follow each other.

A word is a run of letters and digits, without case; every other character is a word of its own, and so is every
character of a script that writes no spaces. It is done for many texts at once, in numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
Places = NDArray[np.int64]

LONGEST = 50_000
"""Characters of a text that are looked at."""
WIDE = 0x3000
"""From this character on (Chinese, Japanese, Korean, emoji) each is a word of its own."""
SPACE, LETTER, SINGLE = 0, 1, 2
BASE = 0x9E3779B97F4A7C15
MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@cache
def _kinds() -> NDArray[np.uint8]:
    """The kind of each character below WIDE, and SINGLE for all others at WIDE."""
    kinds = np.full(WIDE + 1, SINGLE, np.uint8)
    for code in range(WIDE):
        character = chr(code)
        if character.isspace():
            kinds[code] = SPACE
        elif character.isalnum():
            kinds[code] = LETTER
    return kinds


@cache
def _powers(size: int, base: int) -> U64:
    powers = np.full(size, base, np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)


def mixed(numbers: U64) -> U64:
    """Numbers that differ, spread over all 64 bits."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * MIX[0]
    numbers = (numbers ^ (numbers >> np.uint64(27))) * MIX[1]
    return numbers ^ (numbers >> np.uint64(31))


def shingles(texts: Sequence[str]) -> tuple[U64, Places]:
    """The words and pairs of all texts, text by text (repeated where they are), and how many each text has."""
    cut = [text[:LONGEST].lower() + " " for text in texts]
    codes = np.frombuffer("".join(cut).encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds = _kinds()[np.minimum(codes, WIDE)]
    letter, single = kinds == LETTER, kinds == SINGLE
    before = np.concatenate(([False], letter[:-1]))
    after = np.concatenate((letter[1:], [False]))
    begins = np.flatnonzero(single | (letter & ~before))
    ends = np.flatnonzero(single | (letter & ~after)) + 1
    words = _hashed(codes, begins, ends)
    text_ends = np.cumsum([len(text) for text in cut])
    owners = np.searchsorted(text_ends, begins, side="right")
    return _with_pairs(words, owners, len(cut))


def _hashed(codes: NDArray[np.uint32], begins: NDArray[Any], ends: NDArray[Any]) -> U64:
    """A number for each stretch, the same for equal ones: differences of a running sum, moved to one place."""
    size = 1 << max(16, len(codes).bit_length())
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum((codes.astype(np.uint64) + np.uint64(1)) * _powers(size, BASE)[: len(codes)], out=sums[1:])
    back = _powers(size, pow(BASE, -1, 2**64))
    return mixed((sums[ends] - sums[begins]) * back[begins])


def _with_pairs(words: U64, owners: NDArray[Any], count: int) -> tuple[U64, Places]:
    both = np.empty(2 * len(words), np.uint64)
    both[0::2] = words
    both[1:-1:2] = mixed(words[:-1] * MIX[0] + words[1:])
    there = np.ones(len(both), bool)
    there[1:-1:2] = owners[:-1] == owners[1:]
    if len(both):
        there[-1] = False
    counts = 2 * np.bincount(owners, minlength=count) - 1
    return both[there], np.maximum(counts, 0)
