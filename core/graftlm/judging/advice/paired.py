"""What one prompt gains over another, or an adapter over a prompt, on the same rows."""

from __future__ import annotations

from graftlm.contracts.outcome import Change
from graftlm.data.samples import paired_change

from .variants import Tried


def gain(before: Tried, after: Tried) -> Change:
    """Of the metric that decides."""
    return paired_change(before.score, after.score, before.each, after.each)


def better(change: Change) -> bool:
    """The whole interval lies on the wanted side."""
    if change.low is None or change.high is None:
        return False
    return change.low > 0 if change.higher_is_better else change.high < 0
