"""From what was found to findings: what must be mended, and what should be looked at."""

from __future__ import annotations

from collections.abc import Iterator

from graftlm.data.conversations import SHOWN

from .passes import CheckRequest
from .report import DataReport, Finding, Level
from .verdict_contents import on_answers, on_fields, on_turns, on_words
from .verdict_sameness import on_leaks, on_repeats
from .verdict_samples import on_samples
from .wording import rows_have

LEVELS: tuple[Level, ...] = ("error", "warning", "information")
REPEATS = 0.5
"""Share of the rows that ask what one before them asks, from which few rows are few for that."""


def findings(report: DataReport, request: CheckRequest) -> tuple[Finding, ...]:
    """The findings, errors first."""
    template = request.prompting.template if request.prompting else None
    found = [
        *_unreadable(report), *_missing(report, request), *on_leaks(report), *on_samples(report.samples),
        *on_turns(report, template), *on_fields(report, bool(request.data.columns)), *on_answers(report),
        *on_repeats(report), *on_words(report), *_held(report, request),
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda finding: LEVELS.index(finding.level)))


def _unreadable(report: DataReport) -> Iterator[Finding]:
    faults = report.faults
    if faults.ended:
        yield Finding(
            level="error", kind="unreadable", message="not all files can be read to their end", details=faults.ended
        )
    if faults.total:
        kinds = tuple(
            f"{count:,} × {'such as: ' if kind in faults.varied else ''}{kind}" for kind, count in faults.kinds.items()
        )
        yield Finding(
            level="error",
            kind="faults",
            message=f"{rows_have(faults.total, 'cannot', 'cannot')} be used",
            rows=faults.total,
            details=faults.first,
            notes=kinds if faults.total > SHOWN else (),  # fewer are all told one by one
        )


def _missing(report: DataReport, request: CheckRequest) -> Iterator[Finding]:
    splits, data = report.splits, request.data
    for name, inputs in data.given.items():
        if name != "train" and not splits[name]:
            yield Finding(level="error", kind="no-rows", message=f"{inputs.reference} has no usable rows")
    if not report.rows:
        if not report.faults.total and not report.faults.ended:
            yield Finding(level="error", kind="no-rows", message=f"{report.data} has no rows")
    elif not splits["train"]:
        yield Finding(level="error", kind="no-rows", message=_all_kept(report, request))


def _held(report: DataReport, request: CheckRequest) -> Iterator[Finding]:
    """Splits that stay empty."""
    rule = request.data.effective_rule
    for name, share in (("validation", rule.validation), ("test", rule.test)):
        if share and report.splits["train"] and not report.splits[name]:
            yield Finding(
                level="warning",
                kind="no-held-rows",
                message=f"no row falls into the {name} split of {share:.0%}: {_too_few(report)}",
            )


def _all_kept(report: DataReport, request: CheckRequest) -> str:
    """Why no row is left to train on. Rows of files of their own are no rows of DATA."""
    rule = request.data.effective_rule
    held = {name: report.splits[name] for name in ("validation", "test") if name not in request.data.given}
    rows, into = sum(held.values()), [name for name, count in held.items() if count]
    if not into:
        return f"{report.data} leaves no rows to train on"
    # what is in the test split would move on into the validation split
    flags = "--val-split 0" if "validation" in into or ("test" in into and rule.validation) else ""
    flags += " --test-split 0" if "test" in into else ""
    splits = " and ".join(into) + (" splits" if len(into) > 1 else " split")
    if rows == 1:
        what = f"its only row falls into the {splits}; {flags.strip()} keeps it"
    else:
        what = f"all of its {rows:,} rows fall into the {splits}; {flags.strip()} keeps them"
    return f"{report.data} leaves no rows to train on: {what} for training"


def _too_few(report: DataReport) -> str:
    asked = report.duplicates.asked if report.duplicates else report.rows
    if report.rows - asked >= REPEATS * report.rows:
        questions = "1 question is" if asked == 1 else f"{asked:,} different questions are"
        return f"{questions} asked in all {report.rows:,} rows, and rows that ask the same stay together"
    return "there are too few rows for it"
