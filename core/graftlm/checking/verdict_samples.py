"""Findings on what a model's training would make of the rows."""

from __future__ import annotations

from collections.abc import Iterator

from graftlm.encoding.losses import MOST_LOST

from .report import Finding
from .samples import Samples
from .wording import rows_have, share


def on_samples(samples: Samples | None) -> Iterator[Finding]:
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
    if samples.typed.rows:
        yield Finding(
            level="warning",
            kind="typed-tokens",
            message=f"{rows_have(samples.typed.rows, 'holds', 'hold')} the text of control tokens of {samples.model}, "
            f"such as {samples.typed.first[0].rpartition(': ')[2]}: it stays words (were the turns rendered before?)",
            rows=samples.typed.rows,
            details=samples.typed.first,
        )
    yield from _pieces(samples)


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
            f"{'would stop a run' if stops else 'left out'} ({share(out.rows, samples.encoded)}): raise it, shorten "
            f"{'it' if out.rows == 1 else 'them'}, or choose another --overlong",
            rows=out.rows,
            details=out.first,
        )
    if cut.rows:
        side = samples.overlong.removeprefix("truncate-")
        yield Finding(
            level="warning",
            kind="cut",
            message=f"{rows_have(cut.rows, 'is', 'are')} {longer} and cut on the {side} "
            f"({share(cut.rows, samples.encoded)})" + (": the end of the answer is lost" if side == "right" else ""),
            rows=cut.rows,
            details=cut.first,
        )
    if nothing.rows:
        yield Finding(
            level="error" if nothing.rows > most or not samples.samples else "warning",
            kind="nothing-trained",
            message=f"{rows_have(nothing.rows)} nothing to train on ({share(nothing.rows, samples.encoded)}): every "
            "turn says 'train: false', or the answer is cut off",
            rows=nothing.rows,
            details=nothing.first,
        )


def _pieces(samples: Samples) -> Iterator[Finding]:
    """Ids that differ from one-piece tokenization, by the reason."""
    for elsewhere in (False, True):
        count = samples.differing_elsewhere.rows if elsewhere else samples.differing.rows
        count -= 0 if elsewhere else samples.differing_elsewhere.rows
        if count:
            why = (
                "this tokenizer reads words beside a control token otherwise than words alone"
                if elsewhere
                else "graftlm tokenizes as at inference, where the prompt ends before the answer"
            )
            yield Finding(
                level="information",
                kind="pieces-elsewhere" if elsewhere else "pieces",
                message=f"{count:,} of the first {samples.compared:,} rows get other ids than one-piece tokenization "
                f"gives them: {why}",
                rows=count,
                details=samples.differing_elsewhere.first if elsewhere else _without(samples),
            )


def _without(samples: Samples) -> tuple[str, ...]:
    return tuple(place for place in samples.differing.first if place not in samples.differing_elsewhere.first)
