"""One model, asked the same rows with every prompt that fits; and one adapter, asked them bare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.specs import PromptTemplate
from graftlm.running.worker_process import OnEvent, StartWorker
from graftlm_registry.plugins import Registry

from ..scoring import Scored, Task, score
from ..subjects import Subject
from .material import Material
from .prompts import Prompts, prompts_of
from .shots import Shots, shown_before, told_before
from .variants import COUNTS, Tried, Variant, few_shot

COT = "Think step by step. "
MARKER = "Answer:"
COT_ROOM = (4, 64)
"""Tokens for thinking aloud: so many times the longest right answer, and so many more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """What is tried: ``counts`` of examples (none: the usual ones), and the words that ask for a chain of thought.
    ``cot_tokens`` is 0 where the longest right answer says how long a thought may get.
    """

    counts: tuple[int, ...] = ()
    cot_prompt: str = COT
    cot_tokens: int = 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """A variant's rows as they are asked, and the tokens of their prompts."""

    variant: Variant
    rows: tuple[Conversation, ...]
    lengths: tuple[int, ...]
    room: int = 0
    marker: str = ""
    why_not: str = ""


def try_prompts(
    subject: Subject, material: Material, ways: Ways, registry: Registry, on_event: OnEvent, start: StartWorker | None
) -> tuple[Tried, ...]:
    """Every prompt, in the order in which they are shown."""
    with prompts_of(subject, registry) as prompts:
        right = prompts.answers(material.asked)
        thoughts = ways.cot_tokens or COT_ROOM[0] * max(right) + COT_ROOM[1]
        plain = list(_plain(prompts, material, ways, max(right), thoughts))
    found = _score(subject, plain, sum(right) / len(right), on_event, start)
    template = registry.get(PromptTemplate, subject.plan.template.name)
    if template.thinking and not subject.encoding.thinking and _has_answers(found):
        reasoning = replace(
            subject, who=replace(subject.who, thinking=True), encoding=replace(subject.encoding, thinking=True)
        )
        with prompts_of(reasoning, registry) as prompts:
            asked = _fitting(prompts, Variant("thinking"), material.asked, max(right), room=thoughts)
        found += _score(reasoning, [asked], sum(right) / len(right), on_event, start, base=found[0].prompt_tokens)
    return found


def try_bare(
    subject: Subject, material: Material, registry: Registry, on_event: OnEvent, start: StartWorker | None
) -> Tried:
    """The bare questions alone."""
    with prompts_of(subject, registry) as prompts:
        right = prompts.answers(material.asked)
        asked = _fitting(prompts, Variant("zero-shot"), material.asked, max(right))
    return _score(subject, [asked], sum(right) / len(right), on_event, start)[0]


def _plain(prompts: Prompts, material: Material, ways: Ways, longest: int, thoughts: int) -> Sequence[_Asked]:
    """All that need no thinking mode. A model that thinks anyhow has room for it in every answer."""
    room = thoughts if prompts.thinking else 0
    found = [_fitting(prompts, Variant("zero-shot"), material.asked, longest, room=room)]
    shots = Shots(material.pool, material.asked)
    for variant in few_shot(ways.counts or COUNTS, len(material.classes), material.choosable):
        assert variant.choice is not None
        rows = [
            shown_before(row, shots.chosen(i, variant.choice, variant.count)) for i, row in enumerate(material.asked)
        ]
        found.append(_fitting(prompts, variant, rows, longest, room=room))
    if not prompts.thinking:
        told = [told_before(row, ways.cot_prompt) for row in material.asked]
        found.append(_fitting(prompts, Variant("chain-of-thought"), told, longest, room=thoughts, marker=MARKER))
    return found


def _fitting(
    prompts: Prompts, variant: Variant, rows: Sequence[Conversation], longest: int, *, room: int = 0, marker: str = ""
) -> _Asked:
    lengths = tuple(prompts.lengths(rows))
    why_not = prompts.problem(max(lengths), max(longest, room))
    return _Asked(variant, tuple(rows), lengths, room, marker, why_not)


def _score(
    subject: Subject,
    asked: Sequence[_Asked],
    right: float,
    on_event: OnEvent,
    start: StartWorker | None,
    base: float | None = None,
) -> tuple[Tried, ...]:
    """``right`` is the mean number of tokens of a right answer, ``base`` that of a bare question where it is known."""
    fitting = [one for one in asked if not one.why_not]
    tasks = [Task(name=one.variant.name, rows=one.rows, max_new_tokens=one.room, marker=one.marker) for one in fitting]
    scored = dict(zip((one.variant for one in fitting), score(subject, tasks, on_event, start), strict=True))
    bare = sum(asked[0].lengths) / len(asked[0].lengths) if base is None else base
    return tuple(_tried(one, scored.get(one.variant), bare, right) for one in asked)


def _tried(one: _Asked, scored: Scored | None, bare: float, right: float) -> Tried:
    mean = sum(one.lengths) / len(one.lengths)
    unasked = Tried(
        variant=one.variant, prompt_tokens=mean, extra=mean - bare, longest=max(one.lengths), why_not=one.why_not
    )
    if scored is None:
        return unasked
    answers = scored.answers()
    said = sum(answer.tokens for answer in answers) / len(answers) if answers else 0.0
    if one.marker and not answers:  # an evaluator of losses asks for no answers
        return replace(unasked, why_not=f"'{scored.evaluators[0]}' asks for no answers that could be thought over")
    thought = max(0.0, said - right) if one.variant.kind in ("chain-of-thought", "thinking") else 0.0
    metric = scored.scores[0].metric
    samples = scored.samples(scored.evaluators[0])
    each = [sample.get("each", {}).get(metric) for sample in samples]
    return replace(
        unasked,
        scores=scored.scores,
        each=() if None in each else tuple(each),
        answer_tokens=said,
        extra=unasked.extra + thought,
        folder=scored.folder,
    )


def _has_answers(tried: Sequence[Tried]) -> bool:
    return any(one.answer_tokens for one in tried)
