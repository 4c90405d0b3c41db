"""Two subjects on the same rows: what differs between them, paired by row."""

from __future__ import annotations

from collections.abc import Iterator

from graftlm import intervals
from graftlm.contracts.outcome import Change

from .scoring import Scored


def differences(first: Scored, other: Scored) -> Iterator[Change]:
    """The other's metrics minus the first's, where the evaluators tell what each row is worth."""
    for evaluator in first.evaluators:
        before, after = ([sample.get("each", {}) for sample in s.samples(evaluator)] for s in (first, other))
        for name in before[0] if before else ():
            was, now = ([each[name] for each in rows] for rows in (before, after))
            share = intervals.is_share(was) and intervals.is_share(now)
            low, high = (
                intervals.paired_shares(was, now)
                if share
                else intervals.bootstrap_of_mean([b - a for a, b in zip(was, now, strict=True)])
            )
            of = first.score(name)
            yield Change(
                evaluation=of.evaluation,
                role="new",
                metric=name,
                value=other.score(name).value - of.value,
                n=of.n,
                unit=of.unit,
                higher_is_better=of.higher_is_better,
                low=low,
                high=high,
                seed=None if share else intervals.SEED,
            )
