"""Scores before and after, and what changed, as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from graftlm.contracts.outcome import Change, Score
from graftlm.running.score_words import QUIET, change_words, with_interval

from .tables import table


def pairs(scores: Sequence[Score]) -> list[tuple[Score, Score]]:
    """Before and after of each evaluation and metric, the new skill first."""
    after = {_key(s): s for s in scores if s.moment == "after"}
    before = sorted((s for s in scores if s.moment == "before"), key=lambda s: s.role != "new")
    return [(s, after[_key(s)]) for s in before if _key(s) in after]


def _key(of: Score | Change) -> tuple[str, str, str, str]:
    return of.role, of.evaluation, of.evaluator, of.metric


def score_table(scores: Sequence[Score], changes: Sequence[Change] = ()) -> str:
    """``changes`` are those of the same metrics, or none where an older graftlm did not measure them."""
    found = {_key(c): c for c in changes}
    rows = []
    for before, after in pairs(scores):
        if before.metric in QUIET and not before.value and not after.value:
            continue
        change = found.get(_key(before))
        said = change_words(change) + ("  worse" if change.worse and before.role == "old" else "") if change else ""
        name = f"{before.evaluation} ({'new, unseen rows' if before.role == 'new' else 'old'})"
        rows.append((name, before.metric, with_interval(before), with_interval(after), str(before.n), said))
    header = ("skill", "metric", "before", "after", "n", "change")
    return table(rows, header) if found else table([row[:-1] for row in rows], header[:-1])
