"""Which class was said where which was wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .answered import AnsweredRow

NONE = ""
"""Stands for an answer that names no class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confused:
    """``said`` is empty where no class was named. ``of`` counts the rows that want ``wanted``."""

    wanted: str
    said: str
    count: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """``counts`` has a row for each of ``classes`` that is wanted, and a column for each of ``classes`` and, last, for
    none. ``pairs`` are the wrong ones, the most frequent first.
    """

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    pairs: tuple[Confused, ...]


def confusion(rows: Sequence[AnsweredRow]) -> Confusion | None:
    """None where answers are no classes."""
    if not any(row.label for row in rows):
        return None
    found = Counter((row.label, row.named) for row in rows)
    wanted = Counter(row.label for row in rows)
    classes = tuple(sorted(wanted.keys() | {row.named for row in rows if row.named}))
    pairs = [
        Confused(wanted=label, said=said, count=count, of=wanted[label])
        for (label, said), count in found.items()
        if label != said
    ]
    return Confusion(
        classes=classes,
        counts=tuple(tuple(found[label, said] for said in (*classes, NONE)) for label in classes),
        pairs=tuple(sorted(pairs, key=lambda pair: (-pair.count, pair.wanted, pair.said))),
    )
