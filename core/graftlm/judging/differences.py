"""Two subjects on the same rows: what differs between them, paired by row."""

from __future__ import annotations

from collections.abc import Iterator

from graftlm.contracts.outcome import Change
from graftlm.data.samples import paired_change, row_values

from .scoring import Scored


def differences(first: Scored, other: Scored) -> Iterator[Change]:
    """The other's metrics minus the first's, where the evaluators tell what each row is worth."""
    for evaluator in first.evaluators:
        before, after = (scored.samples(evaluator) for scored in (first, other))
        theirs = {score.metric: score for score in other.scores if score.evaluator == evaluator}
        for of in (score for score in first.scores if score.evaluator == evaluator):
            was, now = row_values(before, of.metric), row_values(after, of.metric)
            if was and now and of.metric in theirs:
                yield paired_change(of, theirs[of.metric], was, now)
