"""What becomes of a row: one sample, several, or none."""

from __future__ import annotations

from dataclasses import dataclass

from graftlm.contracts.conversation import Conversation, RenderOptions
from graftlm.contracts.errors import DataError
from graftlm.contracts.plan import EncodingPlan
from graftlm.contracts.specs import PromptTemplate

from .rendering import render
from .tokenizing import IGNORED, Encoded, SpanTokenizer


@dataclass(frozen=True, slots=True)
class RowSamples:
    """The samples of a row. ``length`` is that of the whole row, in tokens; ``cut`` says that some of it was left out.

    Without samples the row was too long (``cut``), or has nothing to train on.
    """

    samples: tuple[Encoded, ...]
    length: int
    cut: bool = False


class SampleMaker:
    """Makes the samples of rows, as a plan has it."""

    def __init__(self, template: PromptTemplate, tokenizer: SpanTokenizer, plan: EncodingPlan) -> None:
        self._template, self._tokenizer, self._plan = template, tokenizer, plan
        self._options = RenderOptions(thinking=plan.thinking)

    def samples(self, conversation: Conversation) -> RowSamples:
        """``DataError`` where a row is too long and the plan says that this is an error."""
        encoded = self._encode(conversation)
        length, most = len(encoded.ids), self._plan.max_length
        if length <= most:
            return RowSamples(_trainable([encoded]), length)
        if conversation.is_document:
            # A text goes on in the next sample. Each begins with the last token of the one before, whose first is never
            # predicted, so that every token is predicted once.
            pieces = [encoded.part(begin, begin + most) for begin in range(0, length - 1, most - 1)]
            return RowSamples(_trainable(pieces), length)
        match self._plan.overlong:
            case "truncate-right":
                return RowSamples(_trainable([encoded.part(0, most)]), length, cut=True)
            case "truncate-left":
                start = self._start(encoded)  # what every text of this model begins with stays in front
                end = encoded.part(length - most + len(start.ids), length)
                kept = Encoded(start.ids + end.ids, start.labels + end.labels)
                return RowSamples(_trainable([kept]), length, cut=True)
            case "error":
                raise DataError(
                    f"{conversation.source}: {length} tokens, and --max-length is {most}: raise it, shorten the row, "
                    "or choose another --overlong"
                )
        return RowSamples((), length, cut=True)

    def _start(self, encoded: Encoded) -> Encoded:
        """The control tokens that begin every text, such as BOS, where this one has them."""
        tokens = self._template.document_start
        ids = [self._tokenizer.control_id(token) for token in tokens if self._tokenizer.has(token)]
        count = len(ids) if encoded.ids[: len(ids)] == ids and len(ids) < self._plan.max_length else 0
        return encoded.part(0, count)

    def differs_in_one_piece(self, conversation: Conversation) -> bool:
        """Whether the tokenizer makes other ids of the whole text, as the model's own chat template would have it."""
        text = "".join(span.text for span in render(self._template, conversation, self._options))
        return self._tokenizer.one_piece(text) != self._encode(conversation).ids

    def _encode(self, conversation: Conversation) -> Encoded:
        try:
            return self._tokenizer.encode(render(self._template, conversation, self._options, self._plan.train_on))
        except DataError as error:
            raise DataError(f"{conversation.source}: {error}") from None


def _trainable(samples: list[Encoded]) -> tuple[Encoded, ...]:
    """Those with a token to predict, which the first of a sample never is."""
    return tuple(sample for sample in samples if any(label != IGNORED for label in sample.labels[1:]))
