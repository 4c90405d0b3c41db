"""What a run forgot, in a sentence or two."""

from __future__ import annotations

from collections.abc import Sequence

from graftlm.contracts.outcome import Change
from graftlm.running.forgetting import forgetting, lost
from graftlm.running.score_words import change_words

SHOWN = 3


def forgetting_lines(changes: Sequence[Change], name: str) -> list[str]:
    """Nothing where it was not measured. ``name`` is how the adapter is named."""
    text, worse = forgetting(changes), lost(changes)
    if text is None:
        return []
    held = "" if text.worse else ", no loss shown"
    lines = [f"forgetting: {change_words(text)} nats a token on the retention text{held}"]
    if worse:
        named = ", ".join(f"{c.evaluation}{_which(c)} {change_words(c)}" for c in worse[:SHOWN])
        more = f", and {len(worse) - SHOWN} more" if len(worse) > SHOWN else ""
        lines.append(f"lost: {named}{more} (percentage points)")
        lines.append(f"against it: --replay DATA mixes the old in; graftlm repair {name} --skill DATA brings it back")
    return lines


def _which(change: Change) -> str:
    return " (answered as the new data is)" if change.metric == "taught-answers" else ""
