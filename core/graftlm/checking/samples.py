"""What a model's training would make of the rows: tokens, and what is cut, left out or not trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import DataError, ModelError
from graftlm.contracts.plan import EncodingPlan
from graftlm.contracts.specs import PromptTemplate
from graftlm.encoding.samples import SampleMaker
from graftlm.encoding.tokenizing import IGNORED, SpanTokenizer

from .distributions import Distribution, Tally
from .places import SHOWN

COMPARED = 2000
"""Rows, the first ones, whose ids are compared with those of one-piece tokenization."""
ENDLESS = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompting:
    """The model and the template, and the samples that are asked for. ``problems`` speak against the template;
    ``thinking`` as ``graftlm train`` takes it.
    """

    model: str
    template: PromptTemplate
    tokenizer: SpanTokenizer
    problems: tuple[str, ...]
    max_length: int
    overlong: Literal["drop", "truncate-left", "truncate-right", "error"] = "drop"
    train_on: Literal["assistant", "last", "all"] = "assistant"
    thinking: Literal["auto", "on", "off"] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Several:
    """``rows`` to which something applies, and the places of the first."""

    rows: int = 0
    first: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """``tokens`` are those of each whole row, ``answer_tokens`` those of it that are trained (both None without rows).

    ``encoded`` rows are ``samples`` samples; ``left_out`` rows are longer than ``max_length`` and dropped (or, with
    --overlong error, stop a run), ``cut`` ones lose what is over; ``nothing_trained`` rows have nothing to train on;
    ``refused`` are those that the template or the tokenizer cannot say, each with the reason. ``differing`` of the
    first ``compared`` rows get other ids than one-piece tokenization gives them. ``tools_unsaid``: rows with tools,
    for which the template has no form. ``broken``: why nothing could be encoded, else empty.
    """

    model: str
    template: str
    template_problems: tuple[str, ...]
    max_length: int
    overlong: str
    train_on: str
    thinking: bool
    tokens: Distribution | None
    answer_tokens: Distribution | None
    trained_share: float
    encoded: int
    samples: int
    left_out: Several
    cut: Several
    nothing_trained: Several
    refused: Several
    tools_unsaid: Several
    compared: int
    differing: Several
    broken: str = ""


class SampleCounts:
    """Rows as they go by. ``thoughts``: the data holds some."""

    def __init__(self, prompting: Prompting, thoughts: bool) -> None:
        self._prompting = prompting
        wanted = prompting.thinking
        self._thinking = prompting.template.thinking and (wanted == "on" or (wanted == "auto" and thoughts))
        plan = EncodingPlan(
            max_length=prompting.max_length,
            overlong="drop" if prompting.overlong == "error" else prompting.overlong,
            train_on=prompting.train_on,
            thinking=self._thinking,
        )
        self._maker = SampleMaker(prompting.template, prompting.tokenizer, plan)
        self._whole = SampleMaker(prompting.template, prompting.tokenizer, replace(plan, max_length=ENDLESS))
        self._tokens, self._answer_tokens = Tally(), Tally()
        self._encoded = self._samples = self._compared = 0
        self._several: dict[str, Several] = {}
        self._broken = ""

    def add(self, conversation: Conversation) -> None:
        if self._broken:
            return
        if conversation.uses_tools and not self._prompting.template.tools:
            self._note("tools_unsaid", conversation.source)
            return
        try:
            self._encode(conversation)
        except DataError as error:
            self._note("refused", f"{conversation.source}: {error}")
        except ModelError as error:
            self._broken = str(error)

    def _encode(self, conversation: Conversation) -> None:
        made = self._whole.samples(conversation)
        trained = sum(len(s.labels) - s.labels.count(IGNORED) for s in made.samples)
        self._tokens.add(made.length)
        self._answer_tokens.add(trained)
        if made.length > self._prompting.max_length:
            made = self._maker.samples(conversation)
        self._encoded += 1
        self._samples += len(made.samples)
        if made.cut and not made.samples and self._maker_drops:
            self._note("left_out", f"{conversation.source} ({made.length:,} tokens)")
        elif made.cut:
            self._note("cut", f"{conversation.source} ({made.length:,} tokens)")
        if not made.samples and not (made.cut and self._maker_drops):
            self._note("nothing_trained", conversation.source)
        if self._compared < COMPARED:
            self._compared += 1
            if self._maker.differs_in_one_piece(conversation):
                self._note("differing", conversation.source)

    @property
    def _maker_drops(self) -> bool:
        return self._prompting.overlong in ("drop", "error")

    def _note(self, kind: str, place: str) -> None:
        before = self._several.get(kind, Several())
        first = before.first if len(before.first) == SHOWN else (*before.first, place)
        self._several[kind] = Several(rows=before.rows + 1, first=first)

    def counted(self) -> Samples:
        prompting, found = self._prompting, self._several
        tokens, answers = self._tokens.distribution(), self._answer_tokens.distribution()
        return Samples(
            model=prompting.model,
            template=prompting.template.name,
            template_problems=prompting.problems,
            max_length=prompting.max_length,
            overlong=prompting.overlong,
            train_on=prompting.train_on,
            thinking=self._thinking,
            tokens=tokens,
            answer_tokens=answers,
            trained_share=answers.total / max(1, tokens.total) if tokens and answers else 0.0,
            encoded=self._encoded,
            samples=self._samples,
            compared=self._compared,
            broken=self._broken,
            **{
                name: found.get(name, Several())
                for name in ("left_out", "cut", "nothing_trained", "refused", "tools_unsaid", "differing")
            },
        )
