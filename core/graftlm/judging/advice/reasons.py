"""Reasons in words: what examples gain, what classes cost, and after how many calls a training is cheaper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graftlm.contracts.outcome import Change

from .evidence import BACKWARD, Cost, Evidence
from .knowledge import MOSTLY, Knowledge
from .paired import better, gain
from .variants import Tried
from .wording import counted, described, scored, shown

MANY_CLASSES = 10


def training(cost: Cost) -> str:
    return (
        f"training on {counted(cost.rows, 'row')} of {cost.tokens:,.0f} tokens, {cost.epochs:g} times, is as much work "
        f"as reading {cost.read:,.0f}, if a trained token counts as {BACKWARD} that are read"
    )


def price(tried: Tried, evidence: Evidence) -> str:
    calls = evidence.cost.calls(tried.extra)
    if calls is None:
        return f"it takes {tried.prompt_tokens:,.0f} tokens a call, no more than the bare question"
    said = (
        f"a call takes {tried.extra:,.0f} tokens more than the bare question with its answer: after "
        f"{counted(calls, 'call')} that is more than a training ({training(evidence.cost)})"
    )
    return said if evidence.calls else f"{said}. --calls N says how many there will be, and makes that count"


def on_examples(evidence: Evidence) -> list[str]:
    """Whether more examples still help."""
    shots = [tried for tried in evidence.asked if tried.variant.kind == "few-shot"]
    if not shots:
        return ["no prompt with examples could be asked"]
    sign = 1 if shots[0].score.higher_is_better else -1
    top = max(shots, key=lambda t: (sign * t.score.value, t.variant.count))
    bare = next((t for t in evidence.asked if t.variant.kind == "zero-shot"), None)
    reasons = []
    if bare is not None:
        gap = gain(bare, top)
        helped = "examples help, and not enough" if better(gap) else "examples do not help"
        reasons.append(f"{helped}: {_from_to(bare, top)}, {told(gap, 'better', top)}")
        if not better(gap):
            return reasons
    line = sorted((t for t in shots if t.variant.choice == top.variant.choice), key=lambda t: t.variant.count)
    last = line[-1]
    half = next((t for t in reversed(line) if t.variant.count <= last.variant.count / 2), None)
    if half is not None:
        gap = gain(half, last)
        if better(gap):
            reasons.append(
                f"the score still rises with more {last.variant.choice} examples ({_from_to(half, last)}): "
                f"--shots {2 * last.variant.count} tries more, where that fits, at twice the cost"
            )
        else:
            reasons.append(
                f"more {last.variant.choice} examples no longer help: {_from_to(half, last)}, "
                f"{told(gap, 'better', last)}"
            )
    reasons.append(f"{described(top.variant)} would take {top.extra:,.0f} tokens more in every call")
    return reasons


def on_classes(evidence: Evidence) -> list[str]:
    if evidence.classes < MANY_CLASSES:
        return []
    words = f"the answers are {evidence.classes} classes, which a prompt has to show all of to make them known"
    each = next((t for t in evidence.tried if t.variant.each == 1), None)
    if each is not None and not each.scores:
        return [f"{words}: one example of each {each.why_not} ({each.longest:,} tokens)"]
    if each is not None:
        return [
            f"{words}: one example of each takes {each.extra:,.0f} tokens more a call, and gives {scored(each.score)}"
        ]
    return [words]


def inferable(knowledge: Knowledge) -> str:
    if knowledge.shown:
        return (
            "the answers look like knowledge, of which the model has a part: looking them up, and putting them into "
            "the prompt, may do more than tuning"
        )
    if knowledge.unseen <= MOSTLY:
        return f"it can be learned from rows: {1 - knowledge.unseen:.0%} of the right answers are also training answers"
    assert knowledge.from_prompt is not None
    found = [test for test in (knowledge.from_prompt, *knowledge.inferable) if test.found]
    if not found:
        return "the answers are long, so that it was not judged whether they are knowledge"
    return f"it can be learned from rows: {found[0].name} ({found[0].effect:.2f}, p {found[0].p:.2g})"


def unjudged(evidence: Evidence) -> list[str]:
    """Prompts whose scores say nothing against prompting."""
    return [
        f"{described(tried.variant)} was not judged: {tried.note}. --cot-prompt asks for the marker in other words"
        for tried in evidence.unjudged
    ]


def _from_to(before: Tried, after: Tried) -> str:
    return (
        f"{shown(before.score.value, before.score)} with {before.variant.count or 'none'}, "
        f"{shown(after.score.value, after.score)} with {after.variant.count}"
    )


def told(gap: Change, word: str, tried: Tried) -> str:
    """The difference, and whether it is one."""
    if gap.low is None or gap.high is None:
        return "and it cannot be told whether that is a difference"
    return f"{word if better(gap) else 'no difference shown'} ({interval(gap, tried)})"


def interval(gap: Change, tried: Tried) -> str:
    """``+3 points, −1 to +7``"""
    if gap.low is None or gap.high is None:
        return "no interval"
    if tried.score.unit == "fraction":
        return f"{100 * gap.value:+.0f} points, 95% interval {100 * gap.low:+.0f} to {100 * gap.high:+.0f}"
    return f"{gap.value:+.3g}, 95% interval {gap.low:+.3g} to {gap.high:+.3g}"


def gains(tried: Sequence[Tried]) -> Mapping[str, Change]:
    """What each prompt that was asked, and could be judged, gains over the bare question, by its name."""
    bare = next((t for t in tried if t.scores and t.variant.kind == "zero-shot"), None)
    if bare is None:
        return {}
    return {t.variant.name: gain(bare, t) for t in tried if t.scores and t is not bare and not t.unmarked}
