"""A conversation, and the spans into which a prompt template renders it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant"]
SpanKind = Literal["control", "text", "content"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn.

    ``train`` says whether an assistant turn is supervised: ``None`` leaves it to the run's settings.
    """

    role: Role
    content: str
    train: bool | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns in the order in which they were said; ``source`` is ``file:line`` (lines count from 1)."""

    messages: tuple[Message, ...]
    source: str = ""

    @property
    def prompt(self) -> Conversation:
        """The conversation without its last assistant turn: what the model is asked."""
        messages = self.messages
        while messages and messages[-1].role == "assistant":
            messages = messages[:-1]
        return Conversation(messages, self.source)

    @property
    def answer(self) -> str:
        """The last assistant turn, or the empty string where there is none."""
        last = self.messages[-1] if self.messages else None
        return last.content if last is not None and last.role == "assistant" else ""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of rendered text.

    ``control``: the text of one control token, looked up by name and never tokenized.
    ``text``: the template's own words. ``content``: somebody's words, which can never become a control token.
    ``answer``: the model writes it at inference; the tokenizer's pieces break where an answer begins.
    ``trained``: its tokens are supervised (only ever true of an answer).
    """

    text: str
    kind: SpanKind
    answer: bool = False
    trained: bool = False


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """``generation_prompt``: end where the model is to go on. ``thinking``: let a reasoning model reason."""

    generation_prompt: bool = False
    thinking: bool = False


def control(token: str) -> Span:
    """A control token of the prompt."""
    return Span(token, "control")


def text(words: str) -> Span:
    """The template's own words in the prompt."""
    return Span(words, "text")


def content(words: str) -> Span:
    """Somebody's words in the prompt."""
    return Span(words, "content")


def answer(message: Message, *, before: str = "", end: str = "") -> list[Span]:
    """What the model says in a turn: ``before`` (template text such as a space), its words, and the control token
    ``end`` that ends its turn. All of it is supervised unless the message says ``train: false``.
    """
    trained = message.train is not False
    spans = [Span(before, "text", True, trained)] if before else []
    spans.append(Span(message.content, "content", True, trained))
    if end:
        spans.append(Span(end, "control", True, trained))
    return spans
