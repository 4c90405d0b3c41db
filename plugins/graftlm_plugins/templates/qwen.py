"""Qwen's ChatML templates."""

from __future__ import annotations

from collections.abc import Iterable

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

START, END = "<|im_start|>", "<|im_end|>"
THINK, THOUGHT = "<think>", "</think>"
DEFAULT_SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
NO_THOUGHT = [control(THINK), text("\n\n"), control(THOUGHT), text("\n\n")]


def _open(role: str) -> list[Span]:
    return [control(START), text(f"{role}\n")]


def _said(message: Message) -> list[Span]:
    return [*_open(message.role), content(message.content), control(END), text("\n")]


def render_qwen2_5(conversation: Conversation, options: RenderOptions) -> list[Span]:
    """ChatML; without a system turn, Qwen's own stands there."""
    messages = conversation.messages
    spans: list[Span] = []
    if not messages or messages[0].role != "system":
        spans += _said(Message("system", DEFAULT_SYSTEM))
    for message in messages:
        if message.role == "assistant":
            spans += [*_open("assistant"), *answer(message, end=END), text("\n")]
        else:
            spans += _said(message)
    return spans + _open("assistant") if options.generation_prompt else spans


def _reasoning(message: Message) -> tuple[str, str]:
    """Reasoning and answer of an assistant turn, as Qwen3 separates them."""
    if THOUGHT not in message.content:
        return "", message.content
    thought, _, said = message.content.rpartition(THOUGHT)
    return thought.rpartition(THINK)[2].strip("\n"), said.lstrip("\n")


def _last_turn(message: Message) -> list[Span]:
    """The turn after the last question carries a thought, or an empty one, which is part of the prompt."""
    thought, said = _reasoning(message)
    trained = message.train is not False
    turn = Message("assistant", said.lstrip("\n"), message.train)
    if not thought:
        return [*NO_THOUGHT, *answer(turn, end=END)]
    return [
        Span(THINK, "control", True, trained),
        Span("\n", "text", True, trained),
        Span(thought, "content", True, trained),
        Span("\n", "text", True, trained),
        Span(THOUGHT, "control", True, trained),
        *answer(turn, before="\n\n", end=END),
    ]


def render_qwen3(conversation: Conversation, options: RenderOptions) -> list[Span]:
    """ChatML; thoughts are dropped from history, and the last assistant turn always carries one, if an empty one."""
    messages = conversation.messages
    last_query = max((i for i, m in enumerate(messages) if m.role == "user"), default=len(messages))
    spans: list[Span] = []
    for i, message in enumerate(messages):
        if message.role != "assistant":
            spans += _said(message)
            continue
        spans += _open("assistant")
        if i > last_query and (i == len(messages) - 1 or _reasoning(message)[0]):
            spans += _last_turn(message)
        else:
            spans += answer(Message("assistant", _reasoning(message)[1], message.train), end=END)
        spans.append(text("\n"))
    if options.generation_prompt:
        spans += _open("assistant")
        spans += [] if options.thinking else NO_THOUGHT
    return spans


@hookimpl
def graftlm_prompt_templates() -> Iterable[PromptTemplate]:
    yield PromptTemplate(
        name="qwen2.5",
        summary="Qwen2.5: ChatML with Qwen's default system text",
        render=render_qwen2_5,
        control_tokens=(START, END),
        end_token=END,
        stop_tokens=(END, "<|endoftext|>"),
    )
    yield PromptTemplate(
        name="qwen3",
        summary="Qwen3: ChatML with <think> in the last assistant turn",
        render=render_qwen3,
        control_tokens=(START, END, THINK, THOUGHT),
        end_token=END,
        stop_tokens=(END, "<|endoftext|>"),
        said=lambda answered: _reasoning(Message("assistant", answered))[1].strip(),
    )
