"""Llama 3's format: headers name the roles."""

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
    control,
    hookimpl,
    text,
)

from .no_tools import without_tools

BEGIN, END, END_OF_TEXT = "<|begin_of_text|>", "<|eot_id|>", "<|end_of_text|>"
HEADER = ("<|start_header_id|>", "<|end_header_id|>")


def _header(role: str) -> list[Span]:
    return [control(HEADER[0]), text(role), control(HEADER[1]), text("\n\n")]


@without_tools
def render_llama3(conversation: Conversation, options: RenderOptions) -> list[Span]:
    """``<|begin_of_text|><|start_header_id|>user<|end_header_id|>\\n\\nU1<|eot_id|>…``; contents are stripped."""
    spans = [control(BEGIN)]
    for message in conversation.messages:
        message = replace(message, content=message.content.strip())
        spans += _header(message.role)
        spans += answer(message, end=END) if message.role == "assistant" else [content(message.content), control(END)]
    return spans + _header("assistant") if options.generation_prompt else spans


@hookimpl
def graftlm_prompt_templates() -> Iterable[PromptTemplate]:
    yield PromptTemplate(
        name="llama3",
        summary="Llama 3 Instruct: <|start_header_id|>role<|end_header_id|> … <|eot_id|>",
        render=render_llama3,
        control_tokens=(BEGIN, *HEADER, END),
        end_token=END,
        stop_tokens=(END, END_OF_TEXT),
        document_start=(BEGIN,),
        document_end=END_OF_TEXT,
    )
