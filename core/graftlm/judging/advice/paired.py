"""The difference of two prompts, or of a prompt and an adapter, on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graftlm import intervals


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """``value`` is after minus before, over ``n`` rows, with its 95% interval over pairs of rows: ``low`` and ``high``
    are None where what each row is worth is not known, and ``seed`` where it is no bootstrap.
    """

    value: float
    n: int
    low: float | None = None
    high: float | None = None
    seed: int | None = None
    higher_is_better: bool = True

    @property
    def better(self) -> bool:
        """The whole interval lies on the wanted side."""
        if self.low is None or self.high is None:
            return False
        return self.low > 0 if self.higher_is_better else self.high < 0

    @property
    def worse(self) -> bool:
        if self.low is None or self.high is None:
            return False
        return self.high < 0 if self.higher_is_better else self.low > 0


def difference(
    before: Sequence[float], after: Sequence[float], value: float, higher_is_better: bool = True
) -> Difference:
    """``value`` is the difference of the two scores; the others are what each row is worth."""
    n = min(len(before), len(after))
    if n < 2 or len(before) != len(after):
        return Difference(value=value, n=n, higher_is_better=higher_is_better)
    low, high = intervals.paired(before, after)
    shares = intervals.is_share(before) and intervals.is_share(after)
    seed = None if shares else intervals.SEED
    return Difference(value=value, n=n, low=low, high=high, seed=seed, higher_is_better=higher_is_better)
