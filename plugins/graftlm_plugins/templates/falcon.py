"""Falcon-7B-Instruct's format: plain-text roles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from graftlm.api import (
    Conversation,
    PromptTemplate,
    RenderOptions,
    Span,
    answer,
    content,
    hookimpl,
    text,
)

END = "<|endoftext|>"


def clean(words: str) -> str:
    """A blank line separates turns, so contents hold none."""
    return words.strip().replace("\r\n", "\n").replace("\n\n", "\n")


def render_instruct(conversation: Conversation, options: RenderOptions) -> list[Span]:
    """``S\\n\\nUser: U1\\n\\nAssistant: A1\\n\\nUser: …``; the model's own template has no end token, so training
    adds ``<|endoftext|>`` after each answer and supervises it.
    """
    spans: list[Span] = []
    for i, message in enumerate(conversation.messages):
        message = replace(message, content=clean(message.content))
        if message.role == "system" and i == 0:
            spans.append(content(message.content))
        elif message.role == "assistant":
            spans += [text("\n\nAssistant:"), *answer(message, before=" ", end=END)]
        else:
            spans += [text("\n\nUser: "), content(message.content)]
    return [*spans, text("\n\nAssistant:")] if options.generation_prompt else spans


@hookimpl
def graftlm_prompt_templates() -> Iterable[PromptTemplate]:
    yield PromptTemplate(
        name="falcon-instruct",
        summary="Falcon-7B-Instruct: 'User:' and 'Assistant:' in plain text",
        render=render_instruct,
        control_tokens=(END,),
        end_token=END,
        own_end=False,
        stop_tokens=(END,),
        said=clean,
    )
