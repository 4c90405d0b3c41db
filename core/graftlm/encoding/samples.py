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
        if conversation.is_document:  # a text goes on in the next sample: nothing is lost
            pieces = [encoded.part(begin, begin + most) for begin in range(0, length, most)]
            return RowSamples(_trainable(pieces), length)
        match self._plan.overlong:
            case "truncate-right":
                return RowSamples(_trainable([encoded.part(0, most)]), length, cut=True)
            case "truncate-left":
                return RowSamples(_trainable([encoded.part(length - most, length)]), length, cut=True)
            case "error":
                raise DataError(
                    f"{conversation.source}: {length} tokens, and --max-length is {most}: raise it, shorten the row, "
                    "or choose another --overlong"
                )
        return RowSamples((), length, cut=True)

    def differs_in_one_piece(self, conversation: Conversation) -> bool:
        """Whether the tokenizer makes other ids of the whole text, as the model's own chat template would have it."""
        text = "".join(span.text for span in render(self._template, conversation, self._options))
        return self._tokenizer.one_piece(text) != self._encode(conversation).ids

    def _encode(self, conversation: Conversation) -> Encoded:
        return self._tokenizer.encode(render(self._template, conversation, self._options, self._plan.train_on))


def _trainable(samples: list[Encoded]) -> tuple[Encoded, ...]:
    """Those with a token to predict: the first of a sample never is."""
    return tuple(sample for sample in samples if any(label != IGNORED for label in sample.labels[1:]))
