"""What a prompt template may know of the model that it is used with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a Jinja template made. ``generated`` are the half-open character ranges of ``{% generation %}`` blocks."""

    text: str
    generated: tuple[tuple[int, int], ...] = ()


class TemplateModel(Protocol):
    """A model's tokens and its own chat template, rendered in a sandbox."""

    bos_token: str
    """Empty where the tokenizer has none; ``eos_token`` likewise."""
    eos_token: str
    added_tokens: frozenset[str]
    """Texts of the tokenizer's added tokens, control tokens among them."""
    chat_template: str
    """Jinja source; empty where the model has none."""

    def render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = (), **variables: Any
    ) -> Rendered:
        """The model's own rendering of messages as OpenAI writes them. ``ModelError`` where the model has no chat
        template, where it is broken, or runs over its limits of time or memory; ``DataError`` with the template's words
        where it refuses the messages.
        """
