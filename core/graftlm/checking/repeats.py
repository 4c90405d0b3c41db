"""Rows that are the same, questions with several answers, and rows on both sides of a split.

A row is three hashes (of all it holds, of what is asked, of what is answered) and its split, 21 bytes in all.
"""

from __future__ import annotations

import hashlib
from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graftlm.contracts.conversation import Conversation
from graftlm.data.rows import content
from graftlm.data.splitting import NAMES, SplitName, folded

U64 = NDArray[np.uint64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
CHUNK = 1 << 16
ANSWERS = np.uint64(0x9E3779B97F4A7C15)


class RowHashes:
    """Rows as they go by."""

    def __init__(self) -> None:
        self._whole, self._asked, self._answered = array("Q"), array("Q"), array("I")
        self._split = bytearray()

    def add(self, split: SplitName, asked: int, conversation: Conversation) -> None:
        """``asked`` is the row's fingerprint."""
        said = "\n".join(folded(m.content) for m in conversation.messages if m.role == "assistant")
        calls = repr([m.tool_calls for m in conversation.messages if m.tool_calls]) if conversation.uses_tools else ""
        self._whole.append(_hash(content(conversation), 8))
        self._asked.append(asked)
        self._answered.append(_hash(f"{said}\n{calls}".encode("utf-8", "surrogatepass"), 4))
        self._split.append(NAMES.index(split))

    @property
    def whole(self) -> U64:
        return np.frombuffer(self._whole, np.uint64)

    @property
    def asked(self) -> U64:
        return np.frombuffer(self._asked, np.uint64)

    @property
    def answered(self) -> NDArray[np.uint32]:
        return np.frombuffer(self._answered, np.uint32)

    @property
    def question_and_answer(self) -> U64:
        """The same for rows that differ in case and white space alone."""
        both = self.answered.astype(np.uint64)
        both += np.uint64(1)
        both *= ANSWERS
        both ^= self.asked
        return both

    def of_split(self, name: SplitName) -> Mask:
        split: NDArray[np.uint8] = np.frombuffer(self._split, np.uint8)
        return np.equal(split, NAMES.index(name))


def _hash(words: bytes, size: int) -> int:
    return int.from_bytes(hashlib.blake2b(words, digest_size=size).digest(), "little")


def repeated(keys: NDArray[Any]) -> tuple[Rows, Rows]:
    """Rows whose key a row before them has, in order, and the first row that has it."""
    rows = sharing(keys)
    order = rows[np.argsort(keys[rows], kind="stable")]
    same = np.concatenate(([False], keys[order[1:]] == keys[order[:-1]])) if len(order) else np.zeros(0, bool)
    places, starts = np.flatnonzero(same), np.flatnonzero(~same)
    first = order[starts[np.searchsorted(starts, places, side="right") - 1]]
    later = order[places]
    by_row = np.argsort(later)
    return later[by_row], first[by_row]


def sharing(keys: NDArray[Any]) -> Rows:
    """Rows whose key another row has. (Sorting keys takes half the memory of sorting rows by them.)"""
    ordered = np.sort(keys)
    several = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered
    return np.flatnonzero(among(keys, several))


def among(keys: NDArray[Any], ordered: NDArray[Any]) -> Mask:
    """Which keys are among some, in order; ``np.isin`` would take much memory."""
    found = np.zeros(len(keys), bool)
    for begin in range(0, len(keys) if len(ordered) else 0, CHUNK):
        part = keys[begin : begin + CHUNK]
        place = np.minimum(np.searchsorted(ordered, part), len(ordered) - 1)
        found[begin : begin + CHUNK] = ordered[place] == part
    return found


def first_with(keys: U64, rows: Rows, wanted: U64) -> Rows:
    """For each wanted key the first of the rows (in order) that have it; each must be there."""
    having = rows[among(keys[rows], np.unique(wanted))]
    firsts: dict[int, int] = {}
    for row in having.tolist():
        firsts.setdefault(int(keys[row]), row)
    return np.array([firsts[int(key)] for key in wanted], np.int64)
