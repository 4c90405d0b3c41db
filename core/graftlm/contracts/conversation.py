"""A conversation, and the spans into which a prompt template renders it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool", "document"]
SpanKind = Literal["control", "text", "content"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """An assistant's call of a tool; ``id`` links it to the tool's answer where the data has ids."""

    name: str
    arguments: Mapping[str, Any]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn.

    ``train`` says whether an assistant turn is supervised: ``None`` leaves it to the run's settings.
    ``tool_calls`` are an assistant's; a ``tool`` turn is the answer of the tool ``name`` to the call ``call_id``.
    A thought stands in an assistant's content as ``<think>\\n…\\n</think>\\n\\n`` before what is said.
    """

    role: Role
    content: str
    train: bool | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    name: str = ""
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns in the order in which they were said; ``source`` is ``file:line`` (lines count from 1).

    A text for continued pre-training is a single turn of the role ``document``. ``tools`` are the functions that may
    be called, each as OpenAI's ``{"type": "function", "function": {…}}``. ``capability`` names the skill that a row of
    a mixture teaches.
    """

    messages: tuple[Message, ...]
    source: str = ""
    tools: tuple[Mapping[str, Any], ...] = ()
    capability: str = ""

    @property
    def is_document(self) -> bool:
        return len(self.messages) == 1 and self.messages[0].role == "document"

    @property
    def uses_tools(self) -> bool:
        return bool(self.tools) or any(m.tool_calls or m.role == "tool" for m in self.messages)

    @property
    def has_thoughts(self) -> bool:
        return any(m.role == "assistant" and "</think>" in m.content for m in self.messages)

    @property
    def prompt(self) -> Conversation:
        """The conversation without its last assistant turn: what the model is asked."""
        messages = self.messages
        while messages and messages[-1].role == "assistant":
            messages = messages[:-1]
        return Conversation(messages, self.source, self.tools, self.capability)

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
    ``added``: the model's own template lacks it, and training adds it (the end of a turn that has none).
    """

    text: str
    kind: SpanKind
    answer: bool = False
    trained: bool = False
    added: bool = False


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


def answer(message: Message, *, before: str = "", end: str = "", added: bool = False) -> list[Span]:
    """What the model says in a turn: ``before`` (template text such as a space), its words, and the control token
    ``end`` that ends its turn (``added`` where the model's own template has none there). All of it is supervised unless
    the message says ``train: false``.
    """
    trained = message.train is not False
    spans = [Span(before, "text", True, trained)] if before else []
    spans.append(Span(message.content, "content", True, trained))
    if end:
        spans.append(Span(end, "control", True, trained, added))
    return spans
