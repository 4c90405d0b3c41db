"""Long series as few points: a picture cannot show more, and drawing takes time. Steps count from 1."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

MOST = 2_000
CENTRES = 400

Curve = tuple[list[int], list[float]]
"""Steps, and a value for each."""


def extremes(values: Sequence[float], most: int = MOST) -> Curve:
    """Every value where there are few; else the lowest and the highest of each stretch, in their order: what stands
    out stays.
    """
    if len(values) <= most:
        return list(range(1, len(values) + 1)), list(values)
    width = -(-2 * len(values) // most)
    steps: list[int] = []
    for start in range(0, len(values), width):
        stretch = range(start, min(start + width, len(values)))
        steps += sorted({min(stretch, key=values.__getitem__) + 1, max(stretch, key=values.__getitem__) + 1})
    return steps, [values[step - 1] for step in steps]


def running_median(values: Sequence[float], centres: int = CENTRES) -> Curve:
    """Over a thirtieth of the series and at least 17 values, fewer at both ends; at about this many places."""
    half = max(8, len(values) // 60)
    every = max(1, len(values) // centres)
    steps = sorted({*range(1, len(values) + 1, every), len(values)})
    return steps, [median(values[max(0, step - 1 - half) : step + half]) for step in steps]
