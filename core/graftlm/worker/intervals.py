"""95% intervals of scores: Wilson's for proportions, a bootstrap over rows for everything else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Z = 1.959963984540054
"""The normal distribution's 97.5% point."""
RESAMPLES = 1000
SEED = 0

Bounds = tuple[float, float]


def wilson(right: float, n: int) -> Bounds:
    """Of the share of ``right`` ones among ``n`` (Wilson 1927): it holds for few rows and for shares of 0 and 1, too.

    Raises ``ValueError`` without any row.
    """
    if n < 1:
        raise ValueError("a share of no rows has no interval")
    share, spread = right / n, Z * Z / n
    centre = (share + spread / 2) / (1 + spread)
    half = Z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return (centre - half if right else 0.0), (centre + half if right < n else 1.0)  # not by the rounding of 0 and 1


def bootstrap_of_mean(values: Sequence[float]) -> Bounds:
    """Percentiles of the mean over resampled rows, seeded with ``SEED``."""
    each = np.asarray(values, dtype=float)
    draw = np.random.default_rng(SEED)
    means = [each[draw.integers(0, len(each), len(each))].mean() for _ in range(RESAMPLES)]
    return _percentiles(means)


def bootstrap(n: int, over: Callable[[Any], Mapping[str, float]]) -> Mapping[str, Bounds]:
    """The same of what ``over`` gives for chosen rows (``int64[n]``, with repeats), by metric."""
    draw = np.random.default_rng(SEED)
    found: dict[str, list[float]] = {}
    for _ in range(RESAMPLES):
        for name, value in over(draw.integers(0, n, n)).items():
            found.setdefault(name, []).append(value)
    return {name: _percentiles(values) for name, values in found.items()}


def is_share(values: Sequence[float]) -> bool:
    """Whether each row is right or wrong."""
    return all(value in (0, 1) for value in values)


def _percentiles(values: Sequence[float]) -> Bounds:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
