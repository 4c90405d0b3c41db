"""Advice as people read it, and as programs do."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import TextWrapper
from typing import Any

import click

from graftlm.contracts.outcome import Change
from graftlm.judging.advice.advising import AdapterAdvice, Advice, ModelAdvice
from graftlm.judging.advice.paired import better
from graftlm.judging.advice.reasons import gains, interval
from graftlm.judging.advice.variants import Tried
from graftlm.judging.advice.wording import counted, described, scored, shown

from .tables import table

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 110
NEXT = {"fine-tune": "train", "collect": "gap"}
"""Commands that go on from a recommendation."""
KEY = 8
"""Letters of a folder's name that are enough to find it."""


def advice_text(advice: Advice) -> str:
    """The prompts with their scores and costs, the curves over the number of examples, and what to do."""
    parts = [_rows(advice)]
    for found in advice.models:
        parts += ["", click.style(found.subject.name, bold=True), _table(advice, found)]
        parts += list(_notes(found.evidence.tried))
        curve = _curves(found.evidence.tried)
        parts += ["", curve] if curve else []
        parts += ["", *_recommended(found)]
    if len(advice.models) > 1:
        parts += ["", *_best(advice)]
    for adapter in advice.adapters:
        parts += ["", *_tuned(adapter)]
    return "\n".join([*parts, "", *_kept(advice)])


def _rows(advice: Advice) -> str:
    rows = advice.material
    asked = f"{len(rows.asked)} of {rows.held} validation rows" if rows.held > len(rows.asked) else (
        f"{len(rows.asked)} validation rows"
    )  # fmt: skip
    classes = f", which answer with {len(rows.classes)} classes" if len(rows.classes) > 1 else ""
    text = f"Asked: {asked}. Examples: from {counted(len(rows.train), 'training row')}{classes}. "
    text += f"Score: {advice.metric.name}, with its 95% interval. Test rows are not asked."
    if rows.leaked:
        text += (
            f" {rows.leaked} of the rows asked {'is' if rows.leaked == 1 else 'are'} trained on too: what a tuning "
            "gains there is learned by heart."
        )
    return _filled(text)


def _table(advice: Advice, found: ModelAdvice) -> str:
    lines = [_line(tried, found) for tried in found.evidence.tried]
    return table(lines, ("prompt", advice.metric.name, "prompt tokens", "extra a call", "answers"))


def _notes(tried: Sequence[Tried]) -> Iterator[str]:
    """What has to be known of scores; the same words once."""
    for note in dict.fromkeys(one.note for one in tried if one.note):
        of = ", ".join(described(one.variant) for one in tried if one.note == note)
        yield _filled(f"{of}: {note}")


def _line(tried: Tried, found: ModelAdvice) -> tuple[str, ...]:
    """``extra`` is beside the bare question with a right answer."""
    name = described(tried.variant)
    if not tried.scores:
        return (name, "–", "–", "–", tried.why_not)
    chosen = found.recommendation.action == "prompt" and tried.variant.name == found.recommendation.prompt
    extra = f"+{tried.extra:,.0f}" if tried.extra >= 0.5 else "–"
    mark = "  ←" if chosen else ""
    return (name, scored(tried.score), f"{tried.prompt_tokens:,.0f}", extra, f"{_key(tried.folder)}{mark}")


def _key(folder: Path | None) -> str:
    return "" if folder is None else folder.name[:KEY]


def _curves(tried: Sequence[Tried]) -> str:
    """One line a way of choosing examples; a column a number of them."""
    asked = [one for one in tried if one.scores]
    bare = next((one for one in asked if one.variant.kind == "zero-shot"), None)
    shots = [one for one in asked if one.variant.kind == "few-shot"]
    counts = sorted({one.variant.count for one in shots})
    if not shots:
        return ""
    values = [one.score.value for one in asked]
    top = 1.0 if shots[0].score.unit == "fraction" else max(values)
    rows = []
    for choice in dict.fromkeys(one.variant.choice for one in shots):
        at = {one.variant.count: one for one in shots if one.variant.choice == choice}
        cells = [_cell(bare, top), *(_cell(at.get(count), top) for count in counts)]
        rows.append((str(choice), *cells))
    return table(rows, ("examples", "0", *map(str, counts)))


def _cell(tried: Tried | None, top: float) -> str:
    if tried is None:
        return "·"
    share = tried.score.value / top if top > 0 else 0.0
    bar = BARS[min(len(BARS) - 1, max(0, int(share * len(BARS))))]
    return f"{bar} {shown(tried.score.value, tried.score)}"


def _recommended(found: ModelAdvice) -> Iterator[str]:
    yield click.style(_filled(found.recommendation.headline), bold=True)
    for reason in found.recommendation.reasons:
        yield _filled(_sentence(reason), "  - ")
    verb = NEXT.get(found.recommendation.action)
    if verb:
        data = shlex.quote(str(found.subject.plan.settings["data"]))
        yield f"  next: graftlm {verb} {data} --model {shlex.quote(found.subject.plan.model.reference)}"


def _filled(words: str, first: str = "") -> str:
    wrapper = TextWrapper(WIDTH, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False)
    return wrapper.fill(words)


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _best(advice: Advice) -> Iterator[str]:
    best = next(found for found in advice.models if found.subject.name == advice.best)
    top = best.evidence.best
    told = f"{advice.best} with {described(top.variant)} scores {scored(top.score)}"
    shown_best = any(better(gap) for _, gap in advice.gaps)
    yield _filled(f"The best model: {told}." if shown_best else f"No model is shown to be better. The highest: {told}.")
    for name, gap in advice.gaps:
        verdict = f"better than {name}" if better(gap) else f"no difference to {name} shown"
        yield f"  - {verdict} ({interval(gap, top)})"


def _tuned(found: AdapterAdvice) -> Iterator[str]:
    verdict = (
        "Tuning beat the best prompt" if better(found.gain)
        else "Tuning is worse than the best prompt" if found.gain.worse
        else "No difference between tuning and the best prompt is shown"
    )  # fmt: skip
    yield click.style(f"{verdict}.", bold=True)
    taken, before = (one.prompt_tokens + one.answer_tokens for one in (found.tried, found.best))
    saved = before - taken
    text = (
        f"{found.subject.name}, asked bare: {scored(found.tried.score)} (answers: {_key(found.tried.folder)}). Best "
        f"prompt of {found.model}, {described(found.best.variant)}: {scored(found.best.score)}. The adapter's gain: "
        f"{interval(found.gain, found.tried)}, over {found.gain.n} rows that both were asked"
    )
    text += f"; it takes {saved:,.0f} tokens fewer a call." if saved >= 0.5 else "."
    yield _filled(text)
    for doubt in found.unjudged:
        yield _filled(_sentence(doubt))
    if found.other_data:
        yield _filled(
            "It was trained on other rows than these training rows: if it has seen rows that were asked here, its "
            "score is too high."
        )


def _kept(advice: Advice) -> Iterator[str]:
    folders = [one.folder for found in advice.models for one in found.evidence.tried if one.folder is not None]
    yield f"Every answer is kept: {folders[0].parent}/ANSWERS*/ (rows.jsonl, answers.jsonl, {advice.evaluator}.jsonl)"


def advice_json(advice: Advice) -> Mapping[str, Any]:
    """All figures, and the folder of the answers that each is from."""
    rows = advice.material
    return {
        "evaluator": advice.evaluator,
        "metric": asdict(advice.metric),
        "rows": {
            "asked": len(rows.asked),
            "validation": rows.held,
            "train": len(rows.train),
            "classes": len(rows.classes),
            "asked_and_trained": rows.leaked,
        },
        "knowledge": {**asdict(advice.knowledge), "shown": advice.knowledge.shown},
        "models": [_model_json(found) for found in advice.models],
        "best": advice.best,
        "gaps": {name: _difference(gap) for name, gap in advice.gaps},
        "adapters": [_adapter_json(found) for found in advice.adapters],
    }


def _model_json(found: ModelAdvice) -> Mapping[str, Any]:
    evidence = found.evidence
    return {
        "model": found.subject.name,
        "prompts": [_tried_json(tried) for tried in evidence.tried],
        "gains_over_zero_shot": {name: _difference(gap) for name, gap in gains(evidence.tried).items()},
        "training": {**asdict(evidence.cost), "worth_tokens_read": evidence.cost.read},
        "recommendation": {
            "kind": found.recommendation.action,
            "reason": found.recommendation.headline,
            "reasons": found.recommendation.reasons,
            "prompt": found.recommendation.prompt,
            "sure": found.recommendation.sure,
            "figures": found.recommendation.figures,
        },
    }


def _tried_json(tried: Tried) -> Mapping[str, Any]:
    variant = tried.variant
    return {
        "name": variant.name,
        "kind": variant.kind,
        "choice": variant.choice,
        "examples": variant.count,
        "of_each_class": variant.each,
        "scores": [asdict(score) for score in tried.scores],
        "prompt_tokens": tried.prompt_tokens,
        "answer_tokens": tried.answer_tokens,
        "extra_tokens": tried.extra,
        "longest_prompt": tried.longest,
        "folder": None if tried.folder is None else str(tried.folder),
        "why_not": tried.why_not,
        "unmarked": tried.unmarked,
        "note": tried.note,
    }


def _adapter_json(found: AdapterAdvice) -> Mapping[str, Any]:
    return {
        "adapter": found.subject.name,
        "tried": _tried_json(found.tried),
        "model": found.model,
        "best_prompt": found.best.variant.name,
        "gain": _difference(found.gain),
        "other_data": found.other_data,
        "unjudged": found.unjudged,
    }


def _difference(gap: Change) -> Mapping[str, Any]:
    return {**asdict(gap), "better": better(gap), "worse": gap.worse}
