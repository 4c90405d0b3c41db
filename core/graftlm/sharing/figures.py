"""Scores and changes as a model card prints them."""

from __future__ import annotations

from collections.abc import Sequence

from graftlm.contracts.outcome import Change, Score


def with_interval(score: Score) -> str:
    """``85% (71 to 93)``; the value alone where there is no interval."""
    share = score.unit == "fraction"
    value = f"{score.value:.0%}" if share else f"{score.value:.3g}"
    if score.low is None or score.high is None:
        return value
    low, high = (f"{100 * bound:.0f}" if share else f"{bound:.3g}" for bound in (score.low, score.high))
    return f"{value} ({low} to {high})"


def change_words(change: Change) -> str:
    """``−42 (−55 to −30)``: percentage points, or the metric's unit."""
    scale = 100 if change.unit == "fraction" else 1
    bounds = (change.value, change.low, change.high)
    said = [_signed(scale * bound, change.unit) for bound in bounds if bound is not None]
    return f"{said[0]} ({said[1]} to {said[2]})" if len(said) == 3 else said[0]


def _signed(number: float, unit: str) -> str:
    shown = f"{abs(number):.0f}" if unit == "fraction" else f"{abs(number):.3g}"
    return shown if float(shown) == 0 else f"{'+' if number > 0 else '−'}{shown}"


def score_rows(scores: Sequence[Score], changes: Sequence[Change]) -> list[tuple[str, ...]]:
    """Evaluation, metric, before, after, rows and change of each metric, what is new first. A score of one moment alone
    is shown with a dash for the other.
    """
    moments = {(*_key(score), score.moment): score for score in scores}
    changed = {_key(change): change for change in changes}
    rows: list[tuple[str, ...]] = []
    keys = dict.fromkeys(_key(score) for score in scores)
    for key in sorted(keys, key=lambda key: key[0] != "new"):
        both = [moments.get((*key, moment)) for moment in ("before", "after")]
        one = next(score for score in both if score is not None)
        if one.metric == "taught-answers" and not any(score and score.value for score in both):
            continue  # a side effect that did not show is no news
        before, after = (with_interval(score) if score else "–" for score in both)
        kind = "new, unseen rows" if one.role == "new" else "old"
        change = changed.get(key)
        said = change_words(change) + (", worse" if change.worse and one.role == "old" else "") if change else "–"
        rows.append((f"{one.evaluation} ({kind})", one.metric, before, after, str(one.n), said))
    return rows


def _key(of: Score | Change) -> tuple[str, str, str, str]:
    return of.role, of.evaluation, of.evaluator, of.metric
