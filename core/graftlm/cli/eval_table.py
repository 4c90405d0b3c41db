"""Evaluations as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from graftlm.contracts.outcome import Change
from graftlm.judging.differences import differences
from graftlm.judging.evaluating import Evaluated
from graftlm.running.score_words import change_words, with_interval

from .tables import table


def evaluated_text(found: Sequence[Evaluated]) -> str:
    """A line for each who answered, capability and metric; differences are from the first."""
    rows = []
    for number, each in enumerate(found):
        for task, first in zip(each.scored, found[0].scored, strict=True):
            changed = {c.metric: c for c in differences(first, task)} if number else {}
            for score in task.scores:
                change = changed.get(score.metric)
                told = f"{change_words(change)}{'' if _shown(change) else ', no difference shown'}" if change else ""
                rows.append(
                    (each.subject.name, score.evaluation, score.metric, with_interval(score), str(score.n), told)
                )
    header = ("who", "rows", "metric", "score (95%)", "n", f"against {found[0].subject.name}")
    columns = [i for i in range(6) if i != 5 or len(found) > 1]
    lines = [table([[row[i] for i in columns] for row in rows], [header[i] for i in columns]), ""]
    for each in found:
        where = [("all", each.kept)] if each.kept else [(task.task.name, task.folder) for task in each.scored]
        lines.append(f"answers of {each.subject.name}:")
        lines += [f"  {folder}" if len(where) == 1 else f"  {name}  {folder}" for name, folder in where]
    return "\n".join(lines)


def _shown(change: Change) -> bool:
    return change.low is not None and change.high is not None and (change.low > 0 or change.high < 0)
