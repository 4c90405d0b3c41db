"""One model, asked the same rows with every prompt that fits; and one adapter, asked them bare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.job import GivenAnswer
from graftlm.contracts.specs import PromptTemplate
from graftlm.data.samples import row_values
from graftlm.running.worker_process import OnEvent, StartWorker
from graftlm_registry.plugins import Registry

from ..scoring import THOUGHTS, Scored, Task, score
from ..subjects import Subject
from .material import Material
from .prompts import Prompts, prompts_of
from .shots import Shots, shown_before, told_before
from .variants import COUNTS, Tried, Variant, few_shot

MARKER = "Answer:"
"""Behind its last occurrence in a chain of thought stands the answer proper."""
COT = f"Think step by step, and end with a line '{MARKER} …' that holds the answer alone.\n\n"
COT_BUILT_IN = "Think step by step. "
"""The built-in models were taught these words, and write the marker by themselves."""
BUILT_IN = "built-in"
LEAST_ROOM = (4, 64)
"""Tokens for thinking aloud: so many times the longest right answer, and so many more."""
CHAIN = 256
"""Tokens that a model which is not built in has for a chain of thought at least, where it has the positions."""


class Room(NamedTuple):
    """Tokens of an answer: no fewer than ``least``, and ``most`` where the model has positions for them."""

    least: int = 0
    most: int = 0


NO_ROOM = Room()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """What is tried: ``counts`` of examples (none: the usual ones), and the words that ask for a chain of thought
    (none: those for the model). ``cot_tokens`` is 0 where model and answers say how long a thought may get.
    """

    counts: tuple[int, ...] = ()
    cot_prompt: str = ""
    cot_tokens: int = 0

    def words(self, subject: Subject) -> str:
        return self.cot_prompt or (COT_BUILT_IN if subject.plan.model.source == BUILT_IN else COT)

    def room(self, subject: Subject, longest: int, chain: int) -> Room:
        """``longest`` right answer; ``chain`` is what a model that is not built in gets."""
        if self.cot_tokens:
            return Room(self.cot_tokens, self.cot_tokens)
        least = LEAST_ROOM[0] * longest + LEAST_ROOM[1]
        return Room(least, least if subject.plan.model.source == BUILT_IN else max(chain, least))


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
        thoughts = ways.room(subject, max(right), THOUGHTS)
        told = [told_before(row, ways.words(subject)) for row in material.asked]
        plain = list(_plain(prompts, material, ways, max(right), thoughts))
        if not prompts.thinking:
            room = ways.room(subject, max(right), CHAIN)
            cot = Variant("chain-of-thought")
            plain.append(_fitting(prompts, cot, told, max(right), room=room, marker=MARKER))
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


def _plain(prompts: Prompts, material: Material, ways: Ways, longest: int, thoughts: Room) -> Sequence[_Asked]:
    """Bare, and with examples. A model that thinks anyhow has room for it in every answer."""
    room = thoughts if prompts.thinking else NO_ROOM
    found = [_fitting(prompts, Variant("zero-shot"), material.asked, longest, room=room)]
    shots = Shots(material.pool, material.asked)
    for variant in few_shot(ways.counts or COUNTS, len(material.classes), material.choosable):
        assert variant.choice is not None
        rows = [
            shown_before(row, shots.chosen(i, variant.choice, variant.count)) for i, row in enumerate(material.asked)
        ]
        found.append(_fitting(prompts, variant, rows, longest, room=room))
    return found


def _fitting(
    prompts: Prompts,
    variant: Variant,
    rows: Sequence[Conversation],
    longest: int,
    *,
    room: Room = NO_ROOM,
    marker: str = "",
) -> _Asked:
    lengths = tuple(prompts.lengths(rows))
    why_not = prompts.problem(max(lengths), max(longest, room.least))
    return _Asked(variant, tuple(rows), lengths, room_for(room, max(lengths), prompts.positions), marker, why_not)


def room_for(room: Room, longest: int, positions: int | None) -> int:
    """Tokens of an answer behind the ``longest`` prompt."""
    return room.most if positions is None else max(room.least, min(room.most, positions - longest))


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
        variant=one.variant,
        prompt_tokens=mean,
        extra=mean - bare,
        longest=max(one.lengths),
        longest_row=one.lengths.index(max(one.lengths)),
        why_not=one.why_not,
    )
    if scored is None:
        return unasked
    answers = scored.answers()
    said = sum(answer.tokens for answer in answers) / len(answers) if answers else 0.0
    if one.marker and not answers:  # an evaluator of losses asks for no answers
        return replace(unasked, why_not=f"'{scored.evaluators[0]}' asks for no answers that could be thought over")
    thought = max(0.0, said - right) if one.variant.kind in ("chain-of-thought", "thinking") else 0.0
    unmarked = bool(one.marker) and not any(one.marker in answer.text for answer in answers)
    return replace(
        unasked,
        scores=scored.scores,
        each=tuple(row_values(scored.samples(scored.evaluators[0]), scored.scores[0].metric)),
        answer_tokens=said,
        extra=unasked.extra + thought,
        folder=scored.folder,
        unmarked=unmarked,
        note=_note(one, answers, unmarked),
    )


def _note(one: _Asked, answers: Sequence[GivenAnswer], unmarked: bool) -> str:
    """What has to be known of a score."""
    notes = []
    if unmarked:
        notes.append(f"no answer had the marker '{one.marker}', so nothing was cut out")
    cut = sum(not answer.ended for answer in answers if answer.fits)
    if one.marker and cut:
        notes.append(f"{cut} of {len(answers)} answers ran out of tokens (--cot-tokens gives more)")
    if long := sum(not answer.fits for answer in answers):
        notes.append(f"{long} of {len(answers)} prompts did not fit the model, and count as empty answers")
    return "; ".join(notes)


def _has_answers(tried: Sequence[Tried]) -> bool:
    return any(one.answer_tokens for one in tried)
