"""How much a run forgot, and whether that is too much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graftlm.contracts.outcome import Change
from graftlm.contracts.plan import Plan
from graftlm.planning.retention import TEXT


@dataclass(frozen=True, slots=True)
class Verdict:
    """``limit`` is what was allowed, and ``change`` what came, in nats a token on the retention text; None where it
    could not be measured, which is no pass.
    """

    limit: float
    change: Change | None

    @property
    def passed(self) -> bool:
        return self.change is not None and self.change.value <= self.limit

    @property
    def sure(self) -> bool:
        """The whole interval lies on one side of the limit."""
        if self.change is None or self.change.low is None or self.change.high is None:
            return False
        return self.change.high <= self.limit or self.change.low > self.limit

    @property
    def said(self) -> str:
        """In a sentence."""
        if self.change is None:
            return f"forgetting could not be measured, and at most {self.limit:g} nats a token were allowed"
        sure = "" if self.sure else " (the interval holds both: measure on a longer text to be sure)"
        numbers = [
            f"{x:+.3g}".replace("-", "−")
            for x in (self.change.value, self.change.low, self.change.high)
            if x is not None
        ]
        found = f"{numbers[0]} ({numbers[1]} to {numbers[2]})" if len(numbers) == 3 else numbers[0]
        words = "forgot no more than allowed" if self.passed else "forgot too much"
        return f"{words}: {found} nats a token, and {self.limit:g} was allowed{sure}"


def forgetting(changes: Sequence[Change]) -> Change | None:
    """The change of the loss on the retention text; None where it was not measured."""
    return next((c for c in changes if c.evaluation == TEXT and c.metric == "loss"), None)


def verdict(plan: Plan, changes: Sequence[Change]) -> Verdict | None:
    """None where no limit was given."""
    limit = plan.settings.get("max_forgetting")
    return None if limit is None else Verdict(limit, forgetting(changes))


def lost(changes: Sequence[Change]) -> tuple[Change, ...]:
    """What is worse for certain of what the base could do, the most first."""
    worse = [c for c in changes if c.role == "old" and c.evaluation != TEXT and c.worse and c.unit == "fraction"]
    return tuple(sorted(worse, key=lambda c: abs(c.value), reverse=True))
