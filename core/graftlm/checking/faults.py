"""Rows that cannot be used, counted by what is wrong with them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from graftlm.data.conversations import SHOWN, Fault

from .wording import shown

MOST_KINDS = 50
OTHER = "something else"
QUOTED = re.compile(r"'([^']*)'|\"[^\"]*\"")
NAME = re.compile(r"\w{1,24}")
"""A field or a role, which makes a kind; anything else in quotes is what a single row says."""
NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """``total`` rows that cannot be used; ``kinds`` counts them by reason, the most frequent first, in the words of the
    first row of its kind; ``varied`` are those kinds of which other rows say other numbers or names. ``first`` are the
    first twenty as ``file:line: reason``. ``ended`` says of each file that could not be read to its end why.
    """

    total: int
    kinds: dict[str, int]
    first: tuple[str, ...]
    ended: tuple[str, ...] = ()
    varied: tuple[str, ...] = ()


class FaultCounts:
    """Faults as they go by."""

    def __init__(self) -> None:
        self._kinds: Counter[str] = Counter()
        self._words: dict[str, str] = {}
        self._varied: set[str] = set()
        self._first: list[str] = []
        self._ended: list[str] = []

    def add(self, fault: Fault) -> None:
        if len(self._first) < SHOWN:
            self._first.append(f"{fault.source}: {shown(fault.reason)}")
        kind = kind_of(fault.reason)
        if kind not in self._kinds and len(self._kinds) >= MOST_KINDS:
            kind = OTHER
        self._kinds[kind] += 1
        if kind == OTHER:
            return
        if self._words.setdefault(kind, fault.reason) != fault.reason:
            self._varied.add(kind)

    def add_end(self, sentence: str) -> None:
        self._ended.append(shown(sentence))

    def counted(self) -> Faults:
        kinds: Counter[str] = Counter()
        for kind, count in self._kinds.most_common():
            kinds[shown(self._words.get(kind, kind))] += count
        return Faults(
            total=self._kinds.total(),
            kinds=dict(kinds),
            first=tuple(self._first),
            ended=tuple(self._ended),
            varied=tuple(shown(self._words[kind]) for kind, _ in self._kinds.most_common() if kind in self._varied),
        )


def kind_of(reason: str) -> str:
    """The reason without what it says of the single row."""
    start = reason.partition(": ")[0]
    return NUMBER.sub("N", QUOTED.sub(_named, start.partition(" (")[0]))


def _named(quoted: re.Match[str]) -> str:
    return quoted.group() if NAME.fullmatch(quoted.group(1) or "") else "'…'"
