"""Losses that jump: marked, so that a picture and a summary show where to look."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from graftlm.contracts.outcome import Spike

WINDOW = 32
LEAST = 8
"""Steps before one can be a spike: the first losses are far apart."""
DEVIATIONS = 8.0
"""Median absolute deviations of the steps before, above their median."""
RATIO = 1.5
"""Times the median that it must be as well: steps that are all alike have hardly a deviation."""


def spike(losses: Sequence[float]) -> Spike | None:
    """Whether the last of these losses, one an optimizer step, is a spike."""
    before = losses[-WINDOW - 1 : -1]
    if len(before) < LEAST:
        return None
    usual = median(before)
    spread = median(abs(loss - usual) for loss in before)
    if losses[-1] > max(usual + DEVIATIONS * spread, RATIO * usual):
        return Spike(step=len(losses), loss=losses[-1], usual=usual)
    return None
