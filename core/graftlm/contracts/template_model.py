"""What a prompt template may know of the model that it is used with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .errors import GraftlmError


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a Jinja template made. ``generated`` are the half-open character ranges of ``{% generation %}`` blocks."""

    text: str
    generated: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """One rendering that is wanted: messages and tools as OpenAI writes them, and further variables of the template."""

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)


class TemplateModel(Protocol):
    """A model's tokens and its own chat template, rendered in a sandbox."""

    @property
    def bos_token(self) -> str:
        """Empty where the tokenizer has none; ``eos_token`` likewise."""

    @property
    def eos_token(self) -> str: ...

    @property
    def added_tokens(self) -> frozenset[str]:
        """Texts of the tokenizer's added tokens, control tokens among them."""

    @property
    def chat_template(self) -> str:
        """Jinja source; empty where the model has none."""

    def render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = (), **variables: Any
    ) -> Rendered:
        """The model's own rendering of messages as OpenAI writes them. ``ModelError`` where the model has no chat
        template, where it is broken, or runs over its limits of time or memory; ``DataError`` with the template's words
        where it refuses the messages.
        """

    def render_many(self, asked: Sequence[RenderRequest]) -> list[Rendered | GraftlmError]:
        """Many renderings at the price of few: for each, in order, its text, or what ``render`` would raise."""
