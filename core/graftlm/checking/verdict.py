"""From what was found to findings: what must be mended, and what should be looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graftlm.data.splits import DataRequest
from graftlm.encoding.encode import MOST_LOST

from .bad_text import DESCRIBED
from .report import DataReport, Finding, Level
from .samples import Samples

SHARED = 0.25
"""Share of the words that most rows have in common, from which it is said."""
LEVELS: tuple[Level, ...] = ("error", "warning", "information")


def findings(report: DataReport, request: DataRequest) -> tuple[Finding, ...]:
    """The findings, errors first."""
    found = [
        *_unreadable(report), *_missing(report, request), *_leaks(report), *_model(report.samples),
        *_repeated(report), *_words(report), *_contents(report),
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda finding: LEVELS.index(finding.level)))


def rows_have(count: int, one: str = "has", many: str = "have") -> str:
    """``1 row has``, ``2,000 rows have``."""
    return f"1 row {one}" if count == 1 else f"{count:,} rows {many}"


def _unreadable(report: DataReport) -> Iterator[Finding]:
    faults = report.faults
    if faults.ended:
        yield Finding(
            level="error", kind="unreadable", message="not all files can be read to their end", details=faults.ended
        )
    if faults.total:
        kinds = "; ".join(f"{count:,} × {kind}" for kind, count in faults.kinds.items())
        yield Finding(
            level="error",
            kind="faults",
            message=f"{rows_have(faults.total, 'cannot', 'cannot')} be used: {kinds}",
            rows=faults.total,
            details=faults.first,
        )


def _missing(report: DataReport, request: DataRequest) -> Iterator[Finding]:
    splits = report.splits
    for name, inputs in request.given.items():
        if name != "train" and not splits[name]:
            yield Finding(level="error", kind="no-rows", message=f"{inputs.reference} has no usable rows")
    if not report.rows:
        if not report.faults.total and not report.faults.ended:
            yield Finding(level="error", kind="no-rows", message=f"{report.data} has no rows")
    elif not splits["train"]:
        yield Finding(level="error", kind="no-rows", message=f"{report.data} leaves no rows to train on")
    rule = request.effective_rule
    for name, share in (("validation", rule.validation), ("test", rule.test)):
        if share and splits["train"] and not splits[name]:
            yield Finding(
                level="warning",
                kind="no-held-rows",
                message=f"no row falls into the {name} split of {share:.0%}: there are too few rows for it",
            )


def _leaks(report: DataReport) -> Iterator[Finding]:
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


def _repeated(report: DataReport) -> Iterator[Finding]:
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


def _words(report: DataReport) -> Iterator[Finding]:
    for bad in report.bad_text:
        yield Finding(
            level="information" if bad.kind == "entity" else "warning",
            kind=f"text-{bad.kind}",
            message=f"{rows_have(bad.rows, 'holds', 'hold')} {DESCRIBED[bad.kind]}",
            rows=bad.rows,
            details=tuple(f"{place}: …{around}…" for place, around in bad.first),
        )


def _contents(report: DataReport) -> Iterator[Finding]:
    contents = report.contents
    if contents.empty_answers:
        yield Finding(
            level="error",
            kind="empty-answers",
            message=f"{rows_have(contents.empty_answers)} an empty answer before the last: fill it in, or remove it",
            rows=contents.empty_answers,
            details=contents.first_empty_answers,
        )
    if 0 < contents.documents < report.rows:
        yield Finding(
            level="information",
            kind="documents",
            message=f"{rows_have(contents.documents, 'is a text', 'are texts')} without turns, beside conversations",
            rows=contents.documents,
        )
    classes = report.classes
    if classes:
        yield Finding(
            level="information" if classes.balanced else "warning",
            kind="classes",
            message=classes.said(),
            rows=report.rows,
        )


def _model(samples: Samples | None) -> Iterator[Finding]:
    if samples is None:
        return
    for problem in samples.template_problems:
        yield Finding(
            level="error", kind="template", message=f"for {samples.model}, template '{samples.template}' {problem}"
        )
    if samples.broken and not samples.template_problems:
        yield Finding(level="error", kind="template", message=samples.broken)
    if samples.tools_unsaid.rows:
        yield Finding(
            level="error",
            kind="tools",
            message=f"{rows_have(samples.tools_unsaid.rows, 'uses', 'use')} tools, for which template "
            f"'{samples.template}' has no form: choose a --template that has one, or leave them out",
            rows=samples.tools_unsaid.rows,
            details=samples.tools_unsaid.first,
        )
    if samples.refused.rows:
        yield Finding(
            level="error",
            kind="refused",
            message=f"{rows_have(samples.refused.rows, 'cannot', 'cannot')} be said with template '{samples.template}'",
            rows=samples.refused.rows,
            details=samples.refused.first,
        )
    yield from _lost(samples)
    if samples.differing.rows:
        yield Finding(
            level="information",
            kind="pieces",
            message=f"{samples.differing.rows:,} of the first {samples.compared:,} rows get other ids than one-piece "
            "tokenization gives them: graftlm tokenizes as at inference, where the prompt ends before the answer",
            rows=samples.differing.rows,
            details=samples.differing.first,
        )


def _lost(samples: Samples) -> Iterator[Finding]:
    """Rows that are left out, cut, or not trained on."""
    out, cut, nothing = samples.left_out, samples.cut, samples.nothing_trained
    most = samples.encoded * MOST_LOST
    longer = f"longer than --max-length {samples.max_length:,}"
    if out.rows:
        stops = samples.overlong == "error"
        yield Finding(
            level="error" if stops or out.rows > most else "warning",
            kind="left-out",
            message=f"{rows_have(out.rows, 'is', 'are')} {longer} and "
            f"{'would stop a run' if stops else 'left out'} ({_share(out.rows, samples.encoded)}): raise it, shorten "
            "them, or choose another --overlong",
            rows=out.rows,
            details=out.first,
        )
    if cut.rows:
        side = samples.overlong.removeprefix("truncate-")
        yield Finding(
            level="warning",
            kind="cut",
            message=f"{rows_have(cut.rows, 'is', 'are')} {longer} and cut on the {side} "
            f"({_share(cut.rows, samples.encoded)})" + (": the end of the answer is lost" if side == "right" else ""),
            rows=cut.rows,
            details=cut.first,
        )
    if nothing.rows:
        yield Finding(
            level="error" if nothing.rows > most or not samples.samples else "warning",
            kind="nothing-trained",
            message=f"{rows_have(nothing.rows)} nothing to train on ({_share(nothing.rows, samples.encoded)}): every "
            "turn says 'train: false', or the answer is cut off",
            rows=nothing.rows,
            details=nothing.first,
        )


def _share(count: int, total: int) -> str:
    return f"{count / max(1, total):.1%}"


def _pairs(pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"{place} and {other}" for place, other in pairs)


def _alike(pairs: Iterable[tuple[str, str, float]]) -> tuple[str, ...]:
    return tuple(f"{place} and {other} ({alike:.2f})" for place, other, alike in pairs)
