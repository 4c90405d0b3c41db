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
from .one_piece import OnePiece
from .places import Seen, Several
from .wording import quoted, shown

COMPARED = 2000
"""Rows, the first ones, whose ids are compared with those of one-piece tokenization."""
ENDLESS = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompting:
    """The model and the template, and the samples that are asked for. ``problems`` speak against the template;
    ``thinking`` as ``graftlm train`` takes it. ``added_tokens`` are texts of the tokenizer's.
    """

    model: str
    template: PromptTemplate
    tokenizer: SpanTokenizer
    problems: tuple[str, ...]
    max_length: int
    overlong: Literal["drop", "truncate-left", "truncate-right", "error"] = "drop"
    train_on: Literal["assistant", "last", "all"] = "assistant"
    thinking: Literal["auto", "on", "off"] = "auto"
    added_tokens: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """``tokens`` are those of each whole row, ``answer_tokens`` those of each row with samples that are trained (both
    None without rows). ``sample_tokens`` are those of all samples, of which ``trained_share`` is trained.

    ``encoded`` rows are ``samples`` samples; ``left_out`` rows are longer than ``max_length`` and dropped (or, with
    --overlong error, stop a run), ``cut`` ones lose what is over; ``nothing_trained`` rows have nothing to train on;
    ``refused`` are those that the template or the tokenizer cannot say, each with the reason. ``tools_unsaid``: rows
    with tools, for which the template has no form. ``typed``: rows whose words hold the text of an added token, each
    with one. ``differing`` of the others among the first ``compared`` rows get other ids than one-piece tokenization
    gives them; all but ``differing_elsewhere`` do for the place where the prompt ends alone. ``broken``: why nothing
    could be encoded, else empty.
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
    sample_tokens: int
    typed: Several
    differing_elsewhere: Several
    broken: str = ""


SEVERAL = (
    "left_out", "cut", "nothing_trained", "refused", "tools_unsaid", "typed", "differing", "differing_elsewhere",
)  # fmt: skip


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
        self._encoded = self._samples = self._compared = self._sample_tokens = 0
        self._seen: dict[str, Seen] = {name: Seen() for name in SEVERAL}
        self._one_piece = OnePiece(prompting.template, prompting.tokenizer, self._thinking, prompting.added_tokens)
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
            reason = str(error).removeprefix(f"{conversation.source}: ")
            self._note("refused", f"{conversation.source}: {shown(reason)}")
        except ModelError as error:
            self._broken = str(error)

    def _encode(self, conversation: Conversation) -> None:
        made = self._whole.samples(conversation)
        self._tokens.add(made.length)
        if made.length > self._prompting.max_length:
            made = self._maker.samples(conversation)
        self._encoded += 1
        self._samples += len(made.samples)
        if made.samples:
            self._answer_tokens.add(sum(len(s.labels) - s.labels.count(IGNORED) for s in made.samples))
            self._sample_tokens += sum(len(s.ids) for s in made.samples)
        if made.cut and not made.samples and self._maker_drops:
            self._note("left_out", f"{conversation.source} ({made.length:,} tokens)")
        elif made.cut:
            self._note("cut", f"{conversation.source} ({made.length:,} tokens)")
        if not made.samples and not (made.cut and self._maker_drops):
            self._note("nothing_trained", conversation.source)
        typed = self._one_piece.typed(conversation)
        if typed:
            self._note("typed", f"{conversation.source}: {quoted(typed)}")
        if self._compared < COMPARED:
            self._compared += 1
            self._compare(conversation, bool(typed))

    def _compare(self, conversation: Conversation, typed: bool) -> None:
        differs, elsewhere = (False, False) if typed else self._one_piece.differs(conversation)
        if differs:
            self._note("differing", conversation.source)
        if elsewhere:
            self._note("differing_elsewhere", conversation.source)

    @property
    def _maker_drops(self) -> bool:
        return self._prompting.overlong in ("drop", "error")

    def _note(self, kind: str, place: str) -> None:
        self._seen[kind].add(place)

    def counted(self) -> Samples:
        prompting = self._prompting
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
            trained_share=answers.total / max(1, self._sample_tokens) if answers else 0.0,
            sample_tokens=self._sample_tokens,
            encoded=self._encoded,
            samples=self._samples,
            compared=self._compared,
            broken=self._broken,
            **{name: seen.counted() for name, seen in self._seen.items()},
        )
