"""What to do, and why: from the scores of the prompts, what they cost, and what the rows say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .evidence import Evidence
from .paired import gain
from .reasons import inferable, on_classes, on_examples, price, told, training, unjudged
from .variants import Tried
from .wording import counted, described, scored, shown

Action = Literal["prompt", "fine-tune", "collect", "retrieve"]
UNKNOWN = 0.5
"""A share of right answers below which, its interval included, the model does not know them."""
FEW_ASKED = 10
"""Rows that were asked, below which nothing is sure, whatever an interval says."""
AS_CHEAP = 1.1
"""Prompts that take no more than so many times the tokens of the cheapest are as cheap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """``headline`` is one sentence, ``reasons`` are those for it. ``prompt`` names the prompt that it speaks of. Where
    it is not ``sure``, the rows leave the other side possible, or a prompt could not be judged.
    """

    action: Action
    headline: str
    reasons: tuple[str, ...]
    prompt: str
    sure: bool
    figures: Mapping[str, Any] = field(default_factory=dict)


def recommend(evidence: Evidence) -> Recommendation:
    """Prompting where it is enough and not too dear; else what stands against tuning, if anything; else tuning."""
    found, n = _found(evidence), evidence.best.score.n
    doubts = [] if found.action == "prompt" else unjudged(evidence)
    if n < FEW_ASKED:
        doubts.append(
            f"only {counted(n, 'row')} {'was' if n == 1 else 'were'} asked: more validation rows could change this"
        )
    return replace(found, sure=False, reasons=(*found.reasons, *doubts)) if doubts else found


def _found(evidence: Evidence) -> Recommendation:
    enough, sure = _enough(evidence)
    dear = _too_dear(enough, evidence) if enough else ""
    if enough and not dear:
        return _prompting(enough, sure, evidence)
    if not enough and _is_knowledge(evidence):
        return _retrieve(evidence)
    if evidence.faults:
        return _collect(evidence, dear)
    return _tune(evidence, dear)


def _enough(evidence: Evidence) -> tuple[Tried | None, bool]:
    """The cheapest prompt that is surely good enough, or may be: dear examples are for those who need them."""
    for sure in (True, False):
        good = [t for t in evidence.asked if evidence.reaches(t.low if sure else t.score.value)]
        if good:
            cheapest = min(t.price for t in good)
            sign = 1 if good[0].score.higher_is_better else -1
            as_cheap = [t for t in good if t.price <= AS_CHEAP * cheapest]
            return max(as_cheap, key=lambda t: sign * t.score.value), sure
    return None, False


def _too_dear(tried: Tried, evidence: Evidence) -> str:
    if evidence.calls is None or tried.extra * evidence.calls <= evidence.cost.read:
        return ""
    return (
        f"{described(tried.variant)} is good enough ({scored(tried.score)}), and too dear: its {tried.extra:,.0f} "
        f"extra tokens a call come to {tried.extra * evidence.calls:,.0f} in {counted(evidence.calls, 'call')}, and "
        f"{training(evidence.cost)}"
    )


def _prompting(tried: Tried, sure: bool, evidence: Evidence) -> Recommendation:
    n, wanted = tried.score.n, shown(evidence.good_enough, tried.score)
    headline = f"with {described(tried.variant)} it gets {scored(tried.score)} of {n} rows"
    possible = shown(tried.low, tried.score)
    reasons = [
        f"{wanted} is what is wanted (--good-enough), and the whole interval reaches it"
        if sure
        else f"{wanted} is what is wanted (--good-enough), and {n} rows leave {possible} possible: more validation "
        "rows would settle it"
    ]
    best = evidence.best
    if tried.score.value != best.score.value:
        reasons.append(
            f"the highest score, {scored(best.score)} with {described(best.variant)}, takes "
            f"{best.price - tried.price:,.0f} tokens more a call: {told(gain(tried, best), 'better', best)}"
        )
    reasons.append(price(tried, evidence))
    if tried.variant.choice == "similar":
        reasons.append("similar examples have to be looked up among the training rows in every call")
    if len(evidence.asked) > 1:
        reasons.append(
            f"it was chosen out of {len(evidence.asked)} prompts by these rows: on others it may do a little less well"
        )
    return Recommendation(
        action="prompt",
        headline=f"Prompting is {'' if sure else 'probably '}enough: {headline}.",
        reasons=tuple(reasons),
        prompt=tried.variant.name,
        sure=sure,
        figures=_figures(tried, evidence),
    )


def _is_knowledge(evidence: Evidence) -> bool:
    best = evidence.best
    return evidence.knowledge.shown and best.score.unit == "fraction" and best.high < UNKNOWN


def _retrieve(evidence: Evidence) -> Recommendation:
    knowledge, best = evidence.knowledge, evidence.best
    assert knowledge.from_prompt is not None
    tests = "; ".join(f"{test.name}: {test.effect:.2f}" for test in knowledge.inferable)
    return Recommendation(
        action="retrieve",
        headline="This is knowledge: look it up, and put what was found into the prompt.",
        reasons=(
            f"{knowledge.unseen:.0%} of the right answers asked for are the answer of no training row",
            "they are not taken from the prompt: a training answer is more like its own question than like another's "
            f"in {knowledge.from_prompt.effect:.0%} of cases, and chance is 50%",
            f"nothing in a question tells its answer, in {knowledge.rows} training rows, where 0 is nothing and 1 is "
            f"all ({tests})",
            f"the model does not know them: the best prompt, {described(best.variant)}, gives {scored(best.score)}",
            "tuning would teach the form of an answer, and the model would make up the rest",
        ),
        prompt=best.variant.name,
        sure=True,
        figures=_figures(best, evidence),
    )


def _collect(evidence: Evidence, dear: str) -> Recommendation:
    best = evidence.best
    gives = f"the best, {described(best.variant)}, gives {scored(best.score)}"
    why = dear or f"no prompt{_judged(evidence)} is good enough: {gives}"
    return Recommendation(
        action="collect",
        headline="Collect better data first: what there is would not make a good training.",
        reasons=(*(fault.message for fault in evidence.faults), why),
        prompt=best.variant.name,
        sure=True,
        figures=_figures(best, evidence),
    )


def _tune(evidence: Evidence, dear: str) -> Recommendation:
    best = evidence.best
    if dear:
        headline, reasons = "Fine-tune: at so many calls, examples in the prompt cost more than a training.", [dear]
    else:
        headline = (
            f"Fine-tune: no prompt{_judged(evidence)} reaches {shown(evidence.good_enough, best.score)}; the best, "
            f"{described(best.variant)}, gives {scored(best.score)}."
        )
        reasons = [] if not evidence.reaches(best.high) else [
            f"{best.score.n} rows leave it possible that it does reach that: more validation rows would settle it"
        ]  # fmt: skip
        reasons += on_examples(evidence)
    reasons += on_classes(evidence)
    if evidence.knowledge.from_prompt is not None:
        reasons.append(inferable(evidence.knowledge))
    if not dear:
        reasons.append(training(evidence.cost))
    return Recommendation(
        action="fine-tune",
        headline=headline,
        reasons=tuple(reasons),
        prompt=best.variant.name,
        sure=bool(dear) or not evidence.reaches(best.high),
        figures=_figures(best, evidence),
    )


def _judged(evidence: Evidence) -> str:
    return " that could be judged" if evidence.unjudged else ""


def _figures(tried: Tried, evidence: Evidence) -> Mapping[str, Any]:
    return {
        "score": tried.score.value,
        "low": tried.score.low,
        "high": tried.score.high,
        "good_enough": evidence.good_enough,
        "extra_tokens": tried.extra,
        "training_tokens": evidence.cost.read,
        "calls_to_break_even": evidence.cost.calls(tried.extra),
        "classes": evidence.classes,
        "faults": {fault.kind: fault.figures for fault in evidence.faults},
    }
