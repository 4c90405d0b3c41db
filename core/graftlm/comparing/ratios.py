"""Figures of a cell, and its ratio to the baseline with a bootstrap interval.

All of it works on logarithms of positive values, so that the ratio of A to B is one over that of B to A, interval
and all: the median of an even number of ratios is the geometric mean of the middle two.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from .model import Figure, Measure, Ratio

LEAST_ROUNDS = 3
"""With fewer there is no interval."""

Distribution = Sequence[tuple[float, float]]
"""(value, its probability), ascending by value."""

_TAIL = 0.025
_ROUNDING = 1e-12
_MOST_DECIMALS = 4
_TIME_UNITS = frozenset({"s", "ms", "seconds", "min", "minutes", "h", "hours"})
_NOUNS = {
    **dict.fromkeys(("B", "bytes", "kB", "KB", "MB", "GB", "KiB", "MiB", "GiB"), "memory"),
    **dict.fromkeys(("J", "kJ", "Wh", "kWh"), "energy"),
}


def figure(values: Sequence[float]) -> Figure:
    """Median, least and greatest of one value a round. What is not finite (a loss that ran away) is left out: it has
    no median and no place in JSON. Raises ``ValueError`` where nothing is left.
    """
    finite = tuple(value for value in values if math.isfinite(value))
    if not finite:
        raise ValueError("a figure needs at least one finite value")
    return Figure(median=statistics.median(finite), least=min(finite), greatest=max(finite), values=finite)


def paired_ratio(mine: Mapping[int, float], baseline: Mapping[int, float], measure: Measure) -> Ratio | None:
    """The median of the ratios within rounds, with a 95% percentile interval from the exact bootstrap distribution
    of that median (rounds resampled; see ``bootstrap_of_median``). Both arguments are values by round; a round counts
    where both are positive and finite. None where no round does; no bounds under three rounds.

    With so few rounds the bounds are among the least and greatest ratios seen, so that they hold the true median
    less often than 95%: for 3 rounds 75%, for 5 rounds 94%, if rounds are independent.
    """
    logs = sorted(
        math.log(mine[turn]) - math.log(baseline[turn])
        for turn in mine.keys() & baseline.keys()
        if usable(mine[turn]) and usable(baseline[turn])
    )
    if not logs:
        return None
    bounds = interval(bootstrap_of_median(logs)) if len(logs) >= LEAST_ROUNDS else None
    return ratio_of_logs(statistics.median(logs), bounds, len(logs), measure)


def usable(value: float) -> bool:
    """Whether a ratio can be taken of it."""
    return math.isfinite(value) and value > 0


def ratio_of_logs(median: float, bounds: tuple[float, float] | None, rounds: int, measure: Measure) -> Ratio:
    """The ratio of which these are the logarithms, with its words."""
    low, high = (math.exp(bounds[0]), math.exp(bounds[1])) if bounds else (None, None)
    middle = math.exp(median)
    return Ratio(median=middle, low=low, high=high, rounds=rounds, said=_said(middle, low, high, measure))


def bootstrap_of_median(values: Iterable[float]) -> Distribution:
    """The exact distribution of the median of as many values drawn from these with replacement: no random numbers.

    A draw is at most the k-th of n ordered values with probability k/n, so for odd n the median's distribution is
    binomial (Efron 1979, "Bootstrap methods: another look at the jackknife", section 3; Maritz and Jarrett 1978). For
    n = 2m the median is the mean of the m-th and the next drawn value, and their joint distribution is multinomial.
    The sums are whole numbers out of n**n. Time grows as the square of n, and n is a number of rounds.
    """
    ordered = sorted(values)
    ways = _ways_odd(len(ordered)) if len(ordered) % 2 else _ways_even(len(ordered))
    total = len(ordered) ** len(ordered)
    return sorted((statistics.median((ordered[i], ordered[j])), count / total) for (i, j), count in ways.items())


def interval(distribution: Distribution) -> tuple[float, float]:
    """The least value with 2.5% of the distribution at or below it, and the greatest with 2.5% at or above it."""
    return _first_past_tail(distribution), _first_past_tail(reversed(distribution))


def holds_one(low: float, high: float) -> bool:
    """Whether an interval of ratios holds 1, to the decimals that are shown."""
    return round(low, _MOST_DECIMALS) <= 1 <= round(high, _MOST_DECIMALS)


def amount(ratio: float, measure: Measure, decimals: int = 2) -> str:
    """``1.42 times as fast``, ``1.20 times as long``, ``0.81 of the memory``: by the measure's unit."""
    number = _number(ratio, decimals)
    if measure.unit.endswith("/s"):
        return f"{number} times as fast"
    if measure.unit in _TIME_UNITS:
        return f"{number} times as long"
    return f"{number} {'of' if ratio < 1 else 'times'} the {_NOUNS.get(measure.unit) or inside(measure.label)}"


def inside(label: str) -> str:
    """A label as it stands inside a sentence."""
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]


def decimals_apart(bounds: Sequence[float], point: float) -> int:
    """How many decimals, at least two, show that these bounds are not the point (as far as four do)."""
    for decimals in range(2, _MOST_DECIMALS):
        if all(round(b, decimals) != point or round(b, _MOST_DECIMALS) == point for b in bounds):
            return decimals
    return _MOST_DECIMALS


def _said(median: float, low: float | None, high: float | None, measure: Measure) -> str:
    if low is None or high is None:
        return f"{amount(median, measure)} (too few rounds for an interval)"
    decimals = decimals_apart((low, high), 1)
    span = f"{_number(low, decimals)} to {_number(high, decimals)}"
    if holds_one(low, high):
        return f"no difference shown ({span})"
    return f"{amount(median, measure, decimals)} ({span})"


def _number(value: float, decimals: int) -> str:
    if value < 0.1:
        return f"{value:.2g}"
    return f"{value:.{decimals if value < 10 else 1 if value < 100 else 0}f}"


def _first_past_tail(ordered: Iterable[tuple[float, float]]) -> float:
    summed = 0.0
    for value, probability in ordered:
        summed += probability
        if summed >= _TAIL - _ROUNDING:
            return value
    raise ValueError("the distribution is empty")


def _ways_at_most(n: int, place: int) -> list[int]:
    """For k = 0 to n: in how many of the n**n resamples the place-th least draw is one of the k least values."""
    return [sum(math.comb(n, r) * k**r * (n - k) ** (n - r) for r in range(place, n + 1)) for k in range(n + 1)]


def _ways_odd(n: int) -> dict[tuple[int, int], int]:
    at_most = _ways_at_most(n, n // 2 + 1)
    return {(k, k): at_most[k + 1] - at_most[k] for k in range(n)}


def _ways_even(n: int) -> dict[tuple[int, int], int]:
    """By the pair of values that the two middle draws are."""
    m = n // 2
    at_most = _ways_at_most(n, m)
    ways: dict[tuple[int, int], int] = {}
    for i in range(n):
        # They differ: m draws lie at or below the i-th value, not all below it; the other m likewise above the j-th.
        below = math.comb(n, m) * ((i + 1) ** m - i**m)
        for j in range(i + 1, n):
            ways[i, j] = below * ((n - j) ** m - (n - j - 1) ** m)
        # They are the same: all ways for the lower one to be the i-th, less those in which the upper one is not.
        ways[i, i] = at_most[i + 1] - at_most[i] - below * (n - 1 - i) ** m
    return ways
