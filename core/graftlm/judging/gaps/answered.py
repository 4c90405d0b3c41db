"""Rows with what was said to them, and which of them count as wrong."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import UsageError
from graftlm.contracts.outcome import Score
from graftlm.data.rows import content
from graftlm.data.splitting import folded
from graftlm.judging.scoring import Scored

from .expected import expected
from .kinds import Kind, error_kind

WORST = 0.25
"""Share of the rows that count as wrong where a metric has degrees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredRow:
    """``row`` counts the scored rows from 0: it is line ``row + 1`` of the samples. ``label`` and ``named`` are the
    classes that are wanted and said, empty where answers are no classes; ``kind`` is empty where the row is right.
    """

    row: int
    source: str
    capability: str
    prompt_tokens: int
    prompt: str
    wanted: str
    said: str
    value: float
    wrong: bool
    kind: Kind | None
    label: str = ""
    named: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """By what a row counts as wrong; ``words`` say it."""

    evaluator: str
    metric: str
    words: str


def chosen(rows: Sequence[Conversation], limit: int) -> Sequence[Conversation]:
    """At most ``limit`` rows, by a hash of their content, in their order: a grown file moves few of them."""
    if len(rows) <= limit:
        return rows
    places = sorted(range(len(rows)), key=lambda i: hashlib.sha256(b"gap" + content(rows[i])).digest())
    return [rows[i] for i in sorted(places[:limit])]


def answered_rows(scored: Scored, classes: Collection[str], metric: str = "") -> tuple[tuple[AnsweredRow, ...], Rule]:
    """``metric`` is the first of the first evaluator where none is named. ``UsageError`` where it says nothing of
    single rows, or nothing was answered.
    """
    evaluator, samples, metric = _samples(scored, metric)
    values = [float(sample["each"][metric]) for sample in samples]
    wrong, words = wrong_ones(values, scored.score(metric))
    right = expected([str(sample["reference"]) for sample in samples], classes)
    found = []
    for i, (row, sample, given) in enumerate(zip(scored.task.rows, samples, scored.answers(), strict=True)):
        said, wanted = str(sample["answer"]), str(sample["reference"])
        kind = error_kind(said, given.ended, wanted, right, fits=given.fits) if wrong[i] else None
        found.append(AnsweredRow(
            row=i, source=row.source, capability=row.capability, prompt_tokens=given.prompt_tokens,
            prompt=next((m.content for m in reversed(row.messages) if m.role == "user"), ""), wanted=wanted, said=said,
            value=values[i], wrong=wrong[i], kind=kind, label=folded(wanted) if classes else "",
            named=right.named(said) if classes else "",
        ))  # fmt: skip
    return tuple(found), Rule(evaluator=evaluator, metric=metric, words=words)


def _samples(scored: Scored, metric: str) -> tuple[str, Sequence[Mapping[str, Any]], str]:
    """The evaluator, its samples, and the metric that decides."""
    for evaluator in scored.evaluators:
        samples = scored.samples(evaluator)
        each = samples[0].get("each", {})
        if metric in each or not metric:
            break
    else:
        each = {}
    metric = metric or next(iter(each), "")
    if metric not in each:
        raise UsageError(
            f"{metric or evaluator} says nothing of single rows: name another with --evaluator, as exact-match"
        )
    if "answer" not in samples[0]:
        raise UsageError(f"{evaluator} looks at no answers, and 'gap' does: choose another --evaluator, as exact-match")
    return evaluator, samples, metric


def wrong_ones(values: Sequence[float], score: Score) -> tuple[list[bool], str]:
    """Which rows are wrong, and the rule in words. Of values that are all 0 or 1, those that are not the better one;
    of others the worst quarter, with all that equal its best, but never what equals the best of all.
    """
    better = 1.0 if score.higher_is_better else -1.0
    if all(value in (0, 1) for value in values):
        best = float(score.higher_is_better)
        return [value != best for value in values], f"{score.metric} is {1 - best:.0f}"
    ranked = sorted(value * better for value in values)
    bound = ranked[max(0, math.ceil(len(ranked) * WORST) - 1)]
    wrong = [value * better <= bound and value * better < ranked[-1] for value in values]
    side = "at most" if score.higher_is_better else "at least"
    return wrong, f"{score.metric} is in its worst quarter ({side} {bound * better:.3g})"
