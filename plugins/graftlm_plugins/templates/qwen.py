"""Qwen's ChatML templates, from the first generation to Qwen3-2507."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from graftlm.api import (
    Conversation,
    Message,
    PromptTemplate,
    RenderOptions,
    Span,
    answer,
    content,
    control,
    hookimpl,
    text,
)

from .chatml import END, END_OF_TEXT, START, opened, said
from .no_tools import without_tools
from .qwen_tools import CALL, RESPONSE, called, offered, responded
from .thoughts import THINK, THOUGHT, separated
from .thoughts import said as without_thought

if TYPE_CHECKING:
    from graftlm.api import TemplateModel

QWEN1_SYSTEM = "You are a helpful assistant."
QWEN2_5_SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."


@dataclass(frozen=True, slots=True)
class Generation:
    """What the generations differ in: the ``system`` text where there is none, ``thinking`` in the last turns, and
    whether a tool's answer stands between control tokens (``marked``).

    - qwen, qwen2.5: ``<|im_start|>system\\n{system}<|im_end|>\\n<|im_start|>user\\nU1<|im_end|>\\n`` and so on
    - qwen3: no default; the last answer is ``<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\nA2<|im_end|>\\n``, and
      thoughts are kept after the last question alone
    - qwen3-2507: no default, and nothing about thoughts
    """

    system: str = ""
    thinking: bool = False
    marked: bool = False

    def render(self, conversation: Conversation, options: RenderOptions) -> list[Span]:
        messages = conversation.messages
        given = [content(m.content) for m in messages[:1] if m.role == "system"]
        spans = self._system(conversation, given)
        last_query = _last_query(messages)
        for i, message in enumerate(messages[len(given) :], len(given)):
            if message.role == "tool":
                spans += responded(messages, i, self.marked)
            elif message.role != "assistant":
                spans += said(message)
            else:
                latest = i > last_query and (i + 1 == len(messages) or bool(separated(message.content)[0]))
                spans += [*opened("assistant"), *self._answer(message, latest, options), text("\n")]
        if options.generation_prompt:
            spans += opened("assistant")
            spans += [] if options.thinking or not self.thinking else _thought(Span("", "text"), "")
        return spans

    def _system(self, conversation: Conversation, given: list[Span]) -> list[Span]:
        words = given or ([text(self.system)] if self.system else [])
        tools = offered(conversation.tools) if conversation.tools else []
        gap = [text("\n\n")] if words and tools else []
        return [*opened("system"), *words, *gap, *tools, control(END), text("\n")] if words or tools else []

    def _answer(self, message: Message, latest: bool, options: RenderOptions) -> list[Span]:
        """An answer; with a thought, if an empty one, where it is one of the ``latest`` of a model that thinks.

        Without thinking, the prompt holds the empty thought; all others are the answer's own.
        """
        thought, words = separated(message.content) if self.thinking else ("", message.content)
        own = Span("", "text", True, message.train is not False)
        spans: list[Span] = []
        if self.thinking and latest:
            words = words.lstrip("\n")
            spans = _thought(own if thought or options.thinking else Span("", "text"), thought)
        calls = called(message, words)
        ended = replace(own, text=END, kind="control")
        return [*spans, *answer(replace(message, content=words)), *calls, ended]


def _thought(like: Span, thought: str) -> list[Span]:
    """``<think>\\n…\\n</think>\\n\\n``, of the prompt or the answer as ``like`` is."""
    break_ = replace(like, text="\n")
    return [
        replace(like, text=THINK, kind="control"),
        break_,
        replace(like, text=thought.strip("\n"), kind="content"),
        break_,
        replace(like, text=THOUGHT, kind="control"),
        replace(like, text="\n\n"),
    ]


def _last_query(messages: tuple[Message, ...]) -> int:
    """The index of the last question; a tool's answer in a user's turn is none. Without one, the last index."""
    queries = (
        i
        for i, m in enumerate(messages)
        if m.role == "user" and not (m.content.startswith(RESPONSE[0]) and m.content.endswith(RESPONSE[1]))
    )
    return max(queries, default=len(messages) - 1)


def _template(name: str, summary: str, generation: Generation, tools: bool = True) -> PromptTemplate:
    thoughts = (THINK, THOUGHT) if generation.thinking else ()

    def made(marked: bool, tools: bool) -> PromptTemplate:
        """``marked`` where the tokenizer has tokens for a tool's answer, ``tools`` where it has those for a call."""
        render = replace(generation, marked=marked).render
        return PromptTemplate(
            name=name,
            summary=summary,
            render=render if tools else without_tools(render),
            control_tokens=(START, END, *thoughts, *(CALL if tools else ()), *(RESPONSE if marked else ())),
            end_token=END,
            stop_tokens=(END, END_OF_TEXT),
            said=without_thought if generation.thinking else str.strip,
            tools=tools,
            thinking=generation.thinking,
            document_end=END_OF_TEXT,
            for_model=for_model,
        )

    def for_model(model: TemplateModel) -> PromptTemplate:
        known = model.added_tokens
        has_calls = tools and known.issuperset(CALL)
        return made(has_calls and known.issuperset(RESPONSE), has_calls)

    return made(False, tools)


@hookimpl
def graftlm_prompt_templates() -> Iterable[PromptTemplate]:
    yield _template(
        "qwen", "Qwen, Qwen1.5 and Qwen2: ChatML with a default system text", Generation(QWEN1_SYSTEM), tools=False
    )
    yield _template("qwen2.5", "Qwen2.5: ChatML with Qwen's default system text", Generation(QWEN2_5_SYSTEM))
    yield _template("qwen3", "Qwen3: ChatML with <think> in the last assistant turn", Generation(thinking=True))
    yield _template("qwen3-2507", "Qwen3 Instruct 2507: ChatML and nothing else", Generation())
