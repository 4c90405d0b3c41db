"""How much a run forgot, and whether that is too much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graftlm.contracts.outcome import Change, Outcome
from graftlm.contracts.plan import Plan
from graftlm.planning.retention import TEXT


@dataclass(frozen=True, slots=True)
class Verdict:
    """``limit`` is what was allowed, and ``change`` what came, in nats a token on the retention text."""

    limit: float
    change: Change

    @property
    def passed(self) -> bool:
        return self.change.value <= self.limit

    @property
    def sure(self) -> bool:
        """The whole interval lies on one side of the limit."""
        low, high = self.change.low, self.change.high
        return low is not None and high is not None and (high <= self.limit or low > self.limit)


def forgetting(changes: Sequence[Change]) -> Change | None:
    """The change of the loss on the retention text; None where it was not measured."""
    return next((c for c in changes if c.evaluation == TEXT and c.metric == "loss"), None)


def verdict(plan: Plan, outcome: Outcome) -> Verdict | None:
    """None where no limit was given."""
    limit, change = plan.settings.get("max_forgetting"), forgetting(outcome.changes)
    return None if limit is None or change is None else Verdict(limit, change)


def lost(changes: Sequence[Change]) -> tuple[Change, ...]:
    """What is worse for certain of what the base could do, the most first."""
    worse = [c for c in changes if c.role == "old" and c.evaluation != TEXT and c.worse and c.unit == "fraction"]
    return tuple(sorted(worse, key=lambda c: abs(c.value), reverse=True))
