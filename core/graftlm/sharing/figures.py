"""Scores and changes as a model card prints them."""

from __future__ import annotations

from collections.abc import Sequence

from graftlm.contracts.outcome import Change, Score
from graftlm.running.score_words import QUIET, change_words, with_interval


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
        if one.metric in QUIET and not any(score and score.value for score in both):
            continue  # a side effect that did not show is no news
        before, after = (with_interval(score) if score else "–" for score in both)
        kind = "new, unseen rows" if one.role == "new" else "old"
        change = changed.get(key)
        said = change_words(change) + (", worse" if change.worse and one.role == "old" else "") if change else "–"
        rows.append((f"{one.evaluation} ({kind})", one.metric, before, after, str(one.n), said))
    return rows


def _key(of: Score | Change) -> tuple[str, str, str, str]:
    return of.role, of.evaluation, of.evaluator, of.metric
