"""``check_data``: from data to a report."""

from __future__ import annotations

from dataclasses import replace

from graftlm.contracts.errors import DataError, GraftlmError
from graftlm.data.conversations import SHOWN

from .contents import ContentCounts
from .faults import Faults
from .fields import unmapped
from .near import Found
from .oddities import OddityCounts
from .passes import CheckRequest, FirstPass, Progress, second_pass
from .places import Places
from .report import DataReport, Finding, Near
from .sameness import duplicates, leaks
from .verdict import findings
from .wording import shown

MOST_SAID = 1500
"""Characters of a line that says why nothing could be checked (it may name all formats)."""
MORE = "'graftlm data check' counts them all"
"""What the reader of rows says under the first faults, and what makes no sense here."""


def check_data(request: CheckRequest, progress: Progress) -> DataReport:
    """Everything that is to be said of the data. ``DataError`` where it changes while it is read."""
    first = FirstPass(request, progress)
    try:
        same, fresh = duplicates(first.hashes, first.places)
        samples, found = second_pass(request, first, fresh, progress)
    finally:
        if first.near:
            first.near.close()
    report = DataReport(
        data=request.data.data.reference,
        format=request.reading.data_format.name,
        files=sum(len(inputs.files) for inputs in request.data.given.values()),
        rows=len(first.places),
        splits=first.splits,
        verdict="ok",
        findings=(),
        faults=first.faults.counted(),
        contents=first.contents.counted(),
        duplicates=same,
        near=_near(found, request.near, first.places) if found else None,
        leaks=leaks(first.hashes, first.places),
        bad_text=first.bad_text.found(),
        classes=first.classes.classes(first.hashes.asked),
        samples=samples,
        unused=first.fields.unused() + unmapped(request.data.given.values(), request.data.columns),
        oddities=first.oddities.counted(),
    )
    return _with(report, findings(report, request))


def refused(reference: str, error: GraftlmError) -> DataReport:
    """The report where nothing could be checked: the data cannot be read, or something was asked that cannot be."""
    lines = tuple(shown(line, MOST_SAID) for line in str(error).splitlines() if MORE not in line)
    report = DataReport(
        data=reference,
        format="",
        files=0,
        rows=0,
        splits={},
        verdict="errors",
        findings=(),
        faults=Faults(total=0, kinds={}, first=lines[:SHOWN] if isinstance(error, DataError) else ()),
        contents=ContentCounts().counted(),
        duplicates=None,
        near=None,
        leaks=None,
        bad_text=(),
        classes=None,
        samples=None,
        unused=(),
        oddities=OddityCounts().counted(),
    )
    found = Finding(level="error", kind="unreadable", message="the data cannot be read", details=lines)
    if not isinstance(error, DataError):
        kind = type(error).__name__.removesuffix("Error").lower()
        found = Finding(level="error", kind=kind, message=lines[0], details=lines[1:])
    return _with(report, (found,))


def _with(report: DataReport, found: tuple[Finding, ...]) -> DataReport:
    errors = any(finding.level == "error" for finding in found)
    return replace(report, findings=found, verdict="errors" if errors else "ok")


def _near(found: Found, threshold: float, places: Places) -> Near:
    def named(pairs: tuple[tuple[int, int, float], ...]) -> tuple[tuple[str, str, float], ...]:
        return tuple((places[row], places[other], round(alike, 4)) for row, other, alike in pairs)

    return Near(
        threshold=threshold,
        rows=found.repeats.found,
        first=named(found.repeats.examples),
        leaks=found.leaks.found,
        first_leaks=named(found.leaks.examples),
        shared=found.shared,
        complete=found.complete,
    )
