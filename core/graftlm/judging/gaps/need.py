"""How much a row would address a gap.

The need of a row lies between 0 and 1 and estimates how likely the model is to fail on rows like it. It is made of

- the *failure rate of its class*, where answers are classes: ``(wrong + p) / (rows + 1)`` over the validation rows of
  the class, with ``p`` the share of all rows that are wrong. A class with few rows leans to ``p``, and one that has
  none is unknown, ``p`` itself;
- the *failure rate around it*: of its ``NEAREST`` validation rows by likeness (cosine, see ``vectors``), each as heavy
  as the square of that, so that one near copy outweighs many that have a word in common, again leaning to ``p``:
  ``(sum of likeness² of the wrong + LEAN * p) / (sum of likeness² + LEAN)``.

Where both are there, need is the root of their product: either one can say that a row is not needed.

Rows are chosen by area: their class, or else the validation row that they are most like. An area's share of the choice
is its share of the failures that are expected (its rate times its validation rows, unknown areas as if they had one);
areas that fail less than half as often as all rows do get none, while others have rows. Within an area the next row is
the one of the largest need times ``1 - likeness`` to the rows that were chosen before: no near copies.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .vectors import vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEAREST = 8
LEAN = 0.1
BLOCK = 4096
LARGEST_AREA = 4096
"""Rows of an area that are looked at for likeness to each other: its neediest ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A validation row: its words, folded, its class or nothing, and whether it is wrong."""

    words: str
    label: str
    wrong: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """A row of the pool that was chosen: ``row`` is its number there. ``of_class`` is None where answers are no
    classes. ``like`` is the number of the validation row that it is most like.
    """

    row: int
    need: float
    of_class: float | None
    around: float
    like: int


def most_needed(pool: Sequence[tuple[str, str]], known: Sequence[Known], count: int) -> tuple[Needed, ...]:
    """The best ``count`` rows of (folded words, class or nothing), the first the most needed; the same each time."""
    import numpy as np

    if not pool or not known:
        return ()
    overall = sum(row.wrong for row in known) / len(known)
    rates, sizes = class_rates(known, overall)
    here, there = vectors([words for words, _ in pool], [row.words for row in known])
    around, like = _around(here, there, np.array([row.wrong for row in known], dtype=np.float64), overall)
    labelled = bool(rates)
    of_class = np.array([rates.get(label, overall) for _, label in pool]) if labelled else around
    need = np.sqrt(of_class * around)
    areas: dict[str | int, list[int]] = defaultdict(list)
    for i, (_, label) in enumerate(pool):
        areas[label if labelled else int(like[i])].append(i)
    shares = {
        area: float(of_class[rows].mean()) * (max(1, sizes.get(str(area), 0)) if labelled else 1)
        for area, rows in areas.items()
        if of_class[rows].mean() >= overall / 2
    }
    taken = _chosen(areas, shares, need, here, min(count, len(pool)))
    return tuple(
        Needed(row=i, need=float(need[i]), of_class=float(of_class[i]) if labelled else None, around=float(around[i]),
               like=int(like[i]))
        for i in taken
    )  # fmt: skip


def class_rates(known: Sequence[Known], overall: float) -> tuple[Mapping[str, float], Mapping[str, int]]:
    """The failure rate of each class, smoothed, and its rows; nothing where answers are no classes."""
    sizes = Counter(row.label for row in known if row.label)
    wrong = Counter(row.label for row in known if row.label and row.wrong)
    return {label: (wrong[label] + overall) / (n + 1) for label, n in sizes.items()}, sizes


def _around(
    here: NDArray[Any], there: NDArray[Any], wrong: NDArray[Any], overall: float
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The failure rate around each row, and the number of the row that it is most like."""
    import numpy as np

    rates, like = np.empty(len(here)), np.empty(len(here), dtype=np.int64)
    nearest = min(NEAREST, len(there))
    for start in range(0, len(here), BLOCK):
        part = slice(start, start + BLOCK)
        alike = np.maximum(here[part] @ there.T, 0.0)
        like[part] = alike.argmax(axis=1)
        best = np.argpartition(-alike, nearest - 1, axis=1)[:, :nearest]
        heavy = np.take_along_axis(alike, best, axis=1).astype(np.float64) ** 2
        rates[part] = ((heavy * wrong[best]).sum(axis=1) + LEAN * overall) / (heavy.sum(axis=1) + LEAN)
    return rates, like


def _chosen(
    areas: Mapping[str | int, Sequence[int]],
    shares: Mapping[str | int, float],
    need: NDArray[Any],
    here: NDArray[Any],
    count: int,
) -> list[int]:
    """Next comes a row of the area that is furthest behind its share; areas without one come when no others have rows,
    the neediest rows first.
    """
    import heapq

    queues = {area: _Area(areas[area], need, here) for area in shares}
    total = sum(shares.values())
    steps = {area: total / share for area, share in shares.items() if share > 0}
    waiting = [(step, str(area), area) for area, step in steps.items()]
    heapq.heapify(waiting)
    taken: list[int] = []
    while waiting and len(taken) < count:
        due, name, area = heapq.heappop(waiting)
        row = queues[area].next()
        if row is None:
            continue
        taken.append(row)
        heapq.heappush(waiting, (due + steps[area], name, area))
    chosen = set(taken)
    rest = (i for area in areas.values() for i in area if i not in chosen)
    left = heapq.nsmallest(count - len(taken), rest, key=lambda i: (-need[i], i))
    return taken + left


class _Area:
    """The rows of an area, each time the neediest that is unlike those before."""

    def __init__(self, rows: Sequence[int], need: NDArray[Any], here: NDArray[Any]) -> None:
        import numpy as np

        ranked = sorted(rows, key=lambda i: (-need[i], i))
        self._rows, self._later = ranked[:LARGEST_AREA], deque(ranked[LARGEST_AREA:])
        self._need, self._here = need[self._rows], here[self._rows]
        self._alike = np.zeros(len(self._rows), dtype=np.float32)
        self._left = np.ones(len(self._rows), dtype=bool)

    def next(self) -> int | None:
        import numpy as np

        if not self._left.any():
            return self._later.popleft() if self._later else None
        place = int(np.argmax(np.where(self._left, self._need * (1 - self._alike), -1.0)))
        self._alike = np.maximum(self._alike, np.clip(self._here @ self._here[place], 0.0, 1.0))
        self._left[place] = False
        return self._rows[place]
