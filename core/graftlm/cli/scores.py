"""Scores before and after, and what changed, as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from graftlm.contracts.outcome import Change, Score

from .tables import table

QUIET = ("taught-answers",)
"""Metrics that are shown where they are not 0: a side effect that did not show is no news."""


def value(score: Score) -> str:
    return number(score.value, score.unit)


def number(value: float, unit: str) -> str:
    return f"{value:.0%}" if unit == "fraction" else f"{value:.3g}"


def with_interval(score: Score) -> str:
    """``85% (71–93)``; the value alone where there is no interval."""
    if score.low is None or score.high is None:
        return value(score)
    if score.unit == "fraction":
        return f"{value(score)} ({100 * score.low:.0f}–{100 * score.high:.0f})"
    return f"{value(score)} ({score.low:.3g}–{score.high:.3g})"


def change_words(change: Change) -> str:
    """``−42 (−55 to −30)`` percentage points, or in the metric's unit; the change alone where there is no interval."""
    scale = 100 if change.unit == "fraction" else 1
    numbers = [scale * each for each in (change.value, change.low, change.high) if each is not None]
    said = [_signed(number, change.unit) for number in numbers]
    return f"{said[0]} ({said[1]} to {said[2]})" if len(said) == 3 else said[0]


def _signed(number: float, unit: str) -> str:
    shown = f"{abs(number):.0f}" if unit == "fraction" else f"{abs(number):.3g}"
    return shown if float(shown) == 0 else f"{'+' if number > 0 else '−'}{shown}"


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
