"""A model that is asked: the rows of an evaluation, its answers to them, and their loss."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from graftlm.contracts.conversation import Conversation, Message, RenderOptions
from graftlm.contracts.job import GivenAnswer
from graftlm.contracts.plan import EncodingPlan
from graftlm.contracts.specs import PromptTemplate
from graftlm.encoding.samples import SampleMaker
from graftlm.encoding.tokenizing import IGNORED, Encoded, SpanTokenizer

from .generation import greedy_batches, inference, positions, stop_ids

EMPHASIS = " \t\n*_`"
"""What a model may put around its answer."""
Keep = Callable[[Sequence[GivenAnswer]], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """A model with its words. ``options`` are those of the evaluators."""

    model: Any
    device: str
    template: PromptTemplate
    tokenizer: SpanTokenizer
    encoding: EncodingPlan
    options: Mapping[str, Any]
    checkpoint: Callable[[], None]


def _nowhere(answers: Sequence[GivenAnswer]) -> None:
    """Answers of a run are kept as samples of its evaluators."""


class Asking:
    """Rows that a model is asked (the ``EvaluationContext`` of an evaluator).

    ``known`` are answers that were given before and need not be given again; ``keep`` is handed each batch of new ones.
    ``longest`` is the least number of tokens that an answer may have, and after a ``marker`` stands the answer proper.
    ``taught`` gives what the training rows answer again and again.
    """

    def __init__(
        self,
        asked: Asked,
        rows: Sequence[Conversation],
        *,
        longest: int = 0,
        marker: str = "",
        known: Sequence[GivenAnswer] = (),
        keep: Keep = _nowhere,
        taught: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        self._asked, self._rows, self._longest, self._marker = asked, rows, longest, marker
        self._given, self._keep, self._taught = {answer.row: answer for answer in known}, keep, taught
        self._room = max((answer.tokens for answer in known), default=0)
        self._unread: set[int] = set()
        self.options, self._thinking = asked.options, asked.encoding.thinking
        self._words = RenderOptions(generation_prompt=True, thinking=asked.encoding.thinking)

    def questions(self) -> Sequence[str]:
        render = self._asked.template.render
        return ["".join(span.text for span in render(row.prompt, self._words)) for row in self._rows]

    def references(self) -> Sequence[str]:
        return [self._reference(row) for row in self._rows]

    @property
    def taught(self) -> frozenset[str]:
        return self._taught()

    def _reference(self, row: Conversation) -> str:
        """What is to be said; a call of a tool, as the template writes it."""
        template = self._asked.template
        if not row.messages[-1].tool_calls:
            return template.said(row.answer)
        spans = template.render(row, RenderOptions(thinking=self._thinking))
        begin = max(i for i, s in enumerate(spans) if s.answer and not (i and spans[i - 1].answer))
        said = [s.text for s in spans[begin:] if s.answer and s.text != template.end_token]
        return template.said("".join(said))

    @cached_property
    def longest_reference(self) -> int:
        """Tokens of the longest right answer, its thoughts and its end token included, with room for a space."""
        whole = [row.answer for row in self._rows] if self._thinking else []
        words = self._asked.tokenizer.words
        return max((len(words(text)) for text in (*self.references(), *whole)), default=0) + 2

    def generate(self, max_new_tokens: int) -> list[str]:
        """The answers are given once, however many evaluators ask for them."""
        room = max(max_new_tokens, self._longest)
        if room > self._room:
            self._given = {i: answer for i, answer in self._given.items() if answer.ended}
            self._room = room
        self._answer([i for i in range(len(self._rows)) if i not in self._given], room)
        return [self._said(self._given[i].text) for i in range(len(self._rows))]

    def given(self) -> Sequence[GivenAnswer]:
        """What was said, whole, in the order of the rows; nothing where no evaluator asked."""
        return [self._given[i] for i in sorted(self._given)]

    def _answer(self, missing: Sequence[int], room: int) -> None:
        asked, words = self._asked, self._words
        prompts = {i: asked.tokenizer.encode(asked.template.render(self._rows[i].prompt, words)).ids for i in missing}
        stops = stop_ids(asked.tokenizer, asked.template.stop_tokens)
        for batch in greedy_batches(asked.model, prompts, stops, room, asked.device, asked.checkpoint):
            found = [
                GivenAnswer(
                    row=i, text=asked.tokenizer.decode(made.ids).strip(), tokens=len(made.ids), ended=made.ended,
                    prompt_tokens=len(prompts[i]), fits=made.fits,
                )
                for i, made in batch.items()
            ]  # fmt: skip
            self._given |= {answer.row: answer for answer in found}
            self._keep(found)

    def _said(self, text: str) -> str:
        said = self._asked.template.said(text) if self._thinking else text
        if not self._marker:
            return said
        parts = re.split(re.escape(self._marker), said, flags=re.IGNORECASE)
        if len(parts) == 1:
            return said
        answer = parts[-1].strip(EMPHASIS)  # as in **Answer:** law
        return answer if self._of_lines else answer.partition("\n")[0].strip(EMPHASIS)

    @cached_property
    def _of_lines(self) -> bool:
        """Whether a right answer has several lines."""
        return any("\n" in reference for reference in self.references())

    def unfit(self) -> int:
        """Rows that the model has no positions for, as far as they were asked or read."""
        return len({i for i, answer in self._given.items() if not answer.fits} | self._unread)

    def answer_losses(self, answers: Sequence[str] | None = None) -> list[tuple[float, int]]:
        """A long text in several samples, as in training; a conversation whole, and (0.0, 0) where the model has no
        positions for it.
        """
        asked = self._asked
        room = replace(asked.encoding, max_length=positions(asked.model), overlong="drop", train_on="assistant")
        texts = replace(asked.encoding, overlong="drop")
        makers = [SampleMaker(asked.template, asked.tokenizer, plan) for plan in (room, texts)]
        found = []
        with inference(asked.model):
            for i, row in enumerate(self._answered(answers)):
                asked.checkpoint()
                losses = [self._loss(sample) for sample in makers[row.is_document].samples(row).samples]
                found.append((sum(loss for loss, _ in losses), sum(count for _, count in losses)))
                self._unread |= {i} if not found[-1][1] else set()
        return found

    def _answered(self, answers: Sequence[str] | None) -> Iterator[Conversation]:
        """The rows, with these answers in the place of their own."""
        for i, row in enumerate(self._rows):
            said = [] if answers is None else [Message("assistant", answers[i])]
            yield replace(row.prompt, messages=(*row.prompt.messages, *said)) if said else row

    def _loss(self, sample: Encoded) -> tuple[float, int]:
        ids = torch.tensor([sample.ids], device=self._asked.device)
        labels = torch.tensor(sample.labels, device=self._asked.device)[1:]
        logits = self._asked.model(input_ids=ids, use_cache=False).logits[0, :-1]
        trained = labels != IGNORED
        loss = torch.nn.functional.cross_entropy(logits[trained].float(), labels[trained], reduction="sum")
        return loss.item(), int(trained.sum())
