"""Findings on rows that are the same, nearly the same, or on both sides of a split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .report import DataReport, Finding
from .wording import rows_have

SHARED = 0.25
"""Share of the words that most rows have in common, from which it is said."""


def on_leaks(report: DataReport) -> Iterator[Finding]:
    leaks, near = report.leaks, report.near
    if leaks and leaks.exact + leaks.normalised:
        total = leaks.exact + leaks.normalised
        yield Finding(
            level="error",
            kind="leak",
            message=f"{rows_have(total, 'is', 'are')} kept for validation or test and trained on too ({leaks.exact:,} "
            f"the same, {leaks.normalised:,} with the same question but for case and white space): remove them from "
            "one side",
            rows=total,
            details=tuple(f"{held} is also {trained}" for held, trained in leaks.first),
        )
    if leaks and leaks.between:
        yield Finding(
            level="warning",
            kind="leak-between",
            message=f"{rows_have(leaks.between, 'of the test asks', 'of the test ask')} what a validation row asks",
            rows=leaks.between,
            details=tuple(f"{held} is also {other}" for held, other in leaks.first_between),
        )
    if near and near.leaks:
        yield Finding(
            level="warning",
            kind="near-leak",
            message=f"{rows_have(near.leaks, 'is', 'are')} kept for validation or test, and nearly the same as one "
            "that is trained on: scores will look better than they are",
            rows=near.leaks,
            details=_alike(near.first_leaks),
        )


def on_repeats(report: DataReport) -> Iterator[Finding]:
    same, near = report.duplicates, report.near
    if same and same.exact:
        yield Finding(
            level="warning",
            kind="duplicates",
            message=f"{rows_have(same.exact, 'is', 'are')} the same as one before",
            rows=same.exact,
            details=_pairs(same.first_exact),
        )
    if same and same.folded:
        yield Finding(
            level="warning",
            kind="folded-duplicates",
            message=f"{rows_have(same.folded, 'is', 'are')} the same as one before but for case and white space",
            rows=same.folded,
            details=_pairs(same.first_folded),
        )
    if same and same.contradictions:
        questions = "1 question has" if same.questions == 1 else f"{same.questions:,} questions have"
        yield Finding(
            level="warning",
            kind="contradictions",
            message=f"{questions} several answers ({rows_have(same.contradictions, 'answers', 'answer')} otherwise "
            "than the first)",
            rows=same.contradictions,
            details=_pairs(same.first_contradictions),
        )
    if near and near.rows:
        rest = "" if near.complete else " (and perhaps more: there are too many alike to compare them all)"
        yield Finding(
            level="warning",
            kind="near-duplicates",
            message=f"{rows_have(near.rows, 'is', 'are')} nearly the same as one before{rest}: they share "
            f"{near.threshold:.0%} or more of their words and pairs of words",
            rows=near.rows,
            details=_alike(near.first),
        )
    if near and near.shared >= SHARED:
        yield Finding(
            level="warning" if near.shared >= near.threshold else "information",
            kind="shared-words",
            message=f"most rows have {near.shared:.0%} of their words in common (the prompt of a task, perhaps): near "
            "duplicates were looked for in the others",
        )


def _pairs(pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"{place} and {other}" for place, other in pairs)


def _alike(pairs: Iterable[tuple[str, str, float]]) -> tuple[str, ...]:
    return tuple(f"{place} and {other} ({alike:.2f})" for place, other, alike in pairs)
