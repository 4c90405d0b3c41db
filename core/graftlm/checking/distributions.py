"""How a number is spread over rows, in memory that does not grow with them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import accumulate

BINS = 40
EXACT = 1000
"""From here on, numbers are counted in three digits, so that there are few different ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """``count`` numbers, their sum in ``total``. ``median`` and ``p95`` (95 of 100 are no larger) are exact below 1,000
    and within half a per cent above. ``bins`` are (first, last, how many), both ends included; the last one takes in
    all that is larger than most.
    """

    count: int
    total: int
    min: int
    median: int
    p95: int
    max: int
    bins: tuple[tuple[int, int, int], ...]

    @property
    def mean(self) -> float:
        return self.total / self.count


class Tally:
    """Numbers (whole, not negative) as they go by."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._total = self._max = 0
        self._min = -1

    def add(self, number: int) -> None:
        self._total += number
        self._max = max(self._max, number)
        self._min = number if self._min < 0 else min(self._min, number)
        if number >= EXACT:
            step: int = 10 ** (len(str(number)) - 3)
            number = number // step * step + step // 2
        self._counts[number] += 1

    def distribution(self) -> Distribution | None:
        """None of no numbers."""
        if not self._counts:
            return None
        numbers = sorted(self._counts)
        count = self._counts.total()
        up_to = list(accumulate(self._counts[n] for n in numbers))

        def quantile(share: float) -> int:
            found = next(n for n, c in zip(numbers, up_to, strict=True) if c >= share * count)
            return min(max(found, self._min), self._max)

        p95 = quantile(0.95)
        return Distribution(
            count=count, total=self._total, min=self._min, median=quantile(0.5), p95=p95, max=self._max,
            bins=self._bins(numbers, p95),
        )  # fmt: skip

    def _bins(self, numbers: list[int], p95: int) -> tuple[tuple[int, int, int], ...]:
        """Of equal width; a long tail is one bin of its own."""
        last = self._max if self._max - self._min <= 2 * (p95 - self._min) else self._min + 2 * (p95 - self._min)
        width = max(1, -(-(last - self._min + 1) // BINS))
        counts: Counter[int] = Counter()
        for number in numbers:
            counts[min((min(max(number, self._min), last) - self._min) // width, BINS)] += self._counts[number]
        bins = []
        for place in range(max(counts) + 1):
            first = self._min + place * width
            bins.append((first, min(first + width - 1, self._max), counts[place]))
        begin, _, rows = bins[-1]
        return (*bins[:-1], (begin, self._max, rows))
