"""Scores before and after, as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from graftlm.contracts.outcome import Score

from .tables import table


def value(score: Score) -> str:
    return f"{score.value:.0%}" if score.unit == "fraction" else f"{score.value:.3g}"


def with_interval(score: Score) -> str:
    """``85% (71–93)``; the value alone where there is no interval."""
    if score.low is None or score.high is None:
        return value(score)
    if score.unit == "fraction":
        return f"{value(score)} ({100 * score.low:.0f}–{100 * score.high:.0f})"
    return f"{value(score)} ({score.low:.3g}–{score.high:.3g})"


def pairs(scores: Sequence[Score]) -> list[tuple[Score, Score]]:
    """Before and after of each evaluation and metric, the new skill first."""
    after = {(s.role, s.evaluation, s.metric): s for s in scores if s.moment == "after"}
    before = sorted((s for s in scores if s.moment == "before"), key=lambda s: s.role != "new")
    return [(s, after[s.role, s.evaluation, s.metric]) for s in before]


def score_table(scores: Sequence[Score]) -> str:
    rows = [
        (
            f"{before.evaluation} ({'new, unseen rows' if before.role == 'new' else 'old'})",
            before.metric,
            with_interval(before),
            with_interval(after),
            str(before.n),
        )
        for before, after in pairs(scores)
    ]
    return table(rows, ("skill", "metric", "before", "after", "n"))
