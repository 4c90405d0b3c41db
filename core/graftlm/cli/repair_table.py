"""What a repair brought back, as people read it."""

from __future__ import annotations

from collections.abc import Sequence

from graftlm.running.repair import Repaired
from graftlm.running.score_words import QUIET, change_words, with_interval

from .tables import table


def repair_table(found: Sequence[Repaired], parent: str, repaired: str) -> str:
    """A line a metric: the base, the adapter, the repaired one, and the change between these two."""
    rows = []
    for each in found:
        if each.after.metric in QUIET and not each.after.value and not each.parent.value:
            continue
        name = f"{each.after.evaluation} ({'new, unseen rows' if each.after.role == 'new' else 'old'})"
        said = change_words(each.change) if each.change else ""
        scores = (with_interval(score) for score in (each.base, each.parent, each.after))
        rows.append((name, each.after.metric, *scores, str(each.after.n), said))
    return table(rows, ("skill", "metric", "base", parent, repaired, "n", f"change from {parent}"))
