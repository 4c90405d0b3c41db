"""Findings on what the rows hold: fields, turns, answers and their words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from graftlm.contracts.specs import PromptTemplate

from .bad_text import DESCRIBED
from .classes import Spelling
from .fields import UnusedField
from .places import Several
from .report import DataReport, Finding, Level
from .turns_as_text import MANY
from .wording import quoted, rows_have, rows_of


def on_fields(report: DataReport, columns: bool) -> Iterator[Finding]:
    """``columns``: the fields are those that --columns names."""
    lost = [field for field in report.unused if not field.about]
    about = [field for field in report.unused if field.about]
    if lost:
        yield Finding(
            level="warning",
            kind="unused-fields",
            message=f"not used by format '{report.format}': {_named(lost)}"
            + (" (--columns leaves out what it does not name)" if columns else ""),
            details=tuple(f"{quoted(field.name)}: first at {field.first}" for field in lost[:10]),
        )
    if about:
        yield Finding(
            level="information",
            kind="other-fields",
            message=f"fields that are not used: {_named(about)}",
        )


def _named(fields: Sequence[UnusedField]) -> str:
    said = [
        f"{quoted(field.name)} ({rows_of(field.rows)}{f'; did you mean {quoted(field.meant)}?' if field.meant else ''})"
        for field in fields[:10]
    ]
    return ", ".join(said) + (f" and {len(fields) - 10} more" if len(fields) > 10 else "")


def on_turns(report: DataReport, template: PromptTemplate | None) -> Iterator[Finding]:
    """``template``: that of the model, where there is one."""
    contents, odd = report.contents, report.oddities
    yield from _several(
        "error", "empty-answers", Several(rows=contents.empty_answers, first=contents.first_empty_answers),
        lambda rows: f"{rows_have(rows)} an empty answer before the last: fill it in, or remove it",
    )  # fmt: skip
    if odd.turns_as_text.rows > MANY * contents.documents:
        yield from _several(
            "warning", "looks-like-turns", odd.turns_as_text,
            lambda rows: f"{rows_have(rows, 'is a text that looks', 'are texts that look')} like turns, and would be "
            "trained as plain text: write '<HUMAN>:' and '<ASSISTANT>:' before the turns, or give a list of messages",
        )  # fmt: skip
    yield from _several(
        "warning", "invisible-answers", odd.invisible_answers,
        lambda rows: f"{rows_have(rows)} an answer in which nothing can be seen",
    )  # fmt: skip
    yield from _several(
        "warning", "empty-questions", odd.empty_questions, lambda rows: f"{rows_have(rows)} an empty question"
    )
    yield from _several(
        "warning", "undeclared-tools", odd.undeclared_tools,
        lambda rows: f"{rows_have(rows, 'calls', 'call')} tools that 'tools' does not declare",
    )  # fmt: skip
    yield from _thoughts(report, template)
    if 0 < contents.documents < report.rows:
        yield Finding(
            level="information",
            kind="documents",
            message=f"{rows_have(contents.documents, 'is a text', 'are texts')} without turns, beside conversations",
            rows=contents.documents,
        )


def _thoughts(report: DataReport, template: PromptTemplate | None) -> Iterator[Finding]:
    if template is not None and not template.thinking:
        return  # such a template has no thoughts: all of it is words
    who = f"template '{template.name}' drops" if template else "templates that have thoughts (such as qwen3) drop"
    keeps = f"template '{template.name}' takes" if template else "templates that have thoughts take"
    odd = report.oddities
    yield from _several(
        "warning", "text-before-thought", odd.before_thought,
        lambda rows: f"{rows_have(rows)} words before '<think>' in an answer: {who} them, as models' own templates do",
    )  # fmt: skip
    yield from _several(
        "warning", "nested-thoughts", odd.nested_thoughts,
        lambda rows: f"{rows_have(rows)} several '<think>' or '</think>' in an answer: {who} what is between them",
    )  # fmt: skip
    yield from _several(
        "warning", "unclosed-thoughts", odd.unclosed_thoughts,
        lambda rows: f"{rows_have(rows)} an answer with '<think>' and no '</think>': {keeps} it for plain words",
    )  # fmt: skip


def _several(level: Level, kind: str, found: Several, message: Callable[[int], str]) -> Iterator[Finding]:
    if found.rows:
        yield Finding(level=level, kind=kind, message=message(found.rows), rows=found.rows, details=found.first)


def on_answers(report: DataReport) -> Iterator[Finding]:
    classes = report.classes
    if not classes:
        return
    spelled = {name: spellings for name, spellings in classes.spellings.items() if len(spellings) > 1}
    if spelled:
        rows = sum(spelling.rows for spellings in spelled.values() for spelling in spellings[1:])
        yield Finding(
            level="warning",
            kind="inconsistent-answers",
            message=f"{rows_have(rows, 'writes', 'write')} the same answer otherwise than the others, and every way is "
            "trained",
            rows=rows,
            notes=tuple(_spellings(spellings) for spellings in list(spelled.values())[:10]),
        )
    yield Finding(
        level="information" if classes.balanced else "warning",
        kind="classes",
        message=classes.said(),
        rows=report.rows,
    )


def _spellings(spellings: Sequence[Spelling]) -> str:
    told = [f"{quoted(s.words)} {rows_of(s.rows)}, the first at {s.first}" for s in spellings[:5]]
    return "; ".join(told) + (f"; and {len(spellings) - 5} more" if len(spellings) > 5 else "")


def on_words(report: DataReport) -> Iterator[Finding]:
    for bad in report.bad_text:
        yield Finding(
            level="information" if bad.kind == "entity" else "warning",
            kind=f"text-{bad.kind}",
            message=f"{rows_have(bad.rows, 'holds', 'hold')} {DESCRIBED[bad.kind]}",
            rows=bad.rows,
            details=tuple(f"{place}: …{around}…" for place, around in bad.first),
        )
