"""95% intervals: Wilson's for proportions, Newcombe's for what changed in one, a bootstrap over rows for all else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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


def paired_shares(before: Sequence[float], after: Sequence[float]) -> Bounds:
    """Of the difference between two shares of the same rows, after minus before (Newcombe 1998, method 10: Wilson's
    intervals of both, put together by their correlation). It holds where every row changed, and where none did.
    """
    n = len(before)
    both = sum(1 for b, a in zip(before, after, strict=True) if a and b)
    one, other = sum(1 for a in after if a), sum(1 for b in before if b)  # right after, right before
    neither = n - one - other + both
    p1, p2 = one / n, other / n
    (l1, u1), (l2, u2) = wilson(one, n), wilson(other, n)
    product = one * (n - one) * other * (n - other)
    agreement: float = both * neither - (one - both) * (other - both)
    agreement = max(agreement - n / 2, 0) if agreement > 0 else agreement
    phi = agreement / math.sqrt(product) if product else 0.0

    def spread(x: float, y: float) -> float:
        return math.sqrt(max(0.0, x * x - 2 * phi * x * y + y * y))

    return max(-1.0, p1 - p2 - spread(p1 - l1, u2 - p2)), min(1.0, p1 - p2 + spread(u1 - p1, p2 - l2))


def paired(before: Sequence[float], after: Sequence[float]) -> Bounds:
    """Of the mean of after minus before, over the same rows: Newcombe's where each row is right or wrong, else by a
    bootstrap over pairs.
    """
    if is_share(before) and is_share(after):
        return paired_shares(before, after)
    return bootstrap_of_mean([b - a for a, b in zip(before, after, strict=True)])


def bootstrap_of_mean(values: Sequence[float]) -> Bounds:
    """Percentiles of the mean over resampled rows, seeded with ``SEED``."""
    import numpy as np

    each = np.asarray(values, dtype=float)
    draw = np.random.default_rng(SEED)
    means = [each[draw.integers(0, len(each), len(each))].mean() for _ in range(RESAMPLES)]
    return _percentiles(means)


def bootstrap(n: int, over: Callable[[Any], Mapping[str, float]]) -> Mapping[str, Bounds]:
    """The same of what ``over`` gives for chosen rows (``int64[n]``, with repeats), by metric."""
    import numpy as np

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
    import numpy as np

    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
