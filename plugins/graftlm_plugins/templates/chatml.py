"""ChatML, and the pieces of it that several models' templates are made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
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

from .no_tools import without_tools

if TYPE_CHECKING:
    from graftlm.api import TemplateModel

START, END, END_OF_TEXT = "<|im_start|>", "<|im_end|>", "<|endoftext|>"


def opened(role: str) -> list[Span]:
    return [control(START), text(f"{role}\n")]


def said(message: Message) -> list[Span]:
    """A turn that is not the assistant's."""
    return [*opened(message.role), content(message.content), control(END), text("\n")]


def answered(message: Message) -> list[Span]:
    """An assistant's turn."""
    return [*opened("assistant"), *answer(message, end=END), text("\n")]


@without_tools
def render_chatml(conversation: Conversation, options: RenderOptions) -> list[Span]:
    """``<|im_start|>system\\nS<|im_end|>\\n<|im_start|>user\\nU1<|im_end|>\\n<|im_start|>assistant\\nA1<|im_end|>\\n``"""
    spans: list[Span] = []
    for message in conversation.messages:
        spans += answered(message) if message.role == "assistant" else said(message)
    return spans + opened("assistant") if options.generation_prompt else spans


def _for_model(model: TemplateModel) -> PromptTemplate:
    """A text of its own ends as the model's texts do, where its tokenizer has no ``<|endoftext|>``."""
    known = END_OF_TEXT in model.added_tokens or not model.eos_token
    return TEMPLATE if known else replace(TEMPLATE, document_end=model.eos_token)


TEMPLATE = PromptTemplate(
    name="chatml",
    summary="ChatML: <|im_start|>role … <|im_end|>, and no default system text",
    render=render_chatml,
    control_tokens=(START, END),
    end_token=END,
    stop_tokens=(END, END_OF_TEXT),
    document_end=END_OF_TEXT,
    for_model=_for_model,
)


@hookimpl
def graftlm_prompt_templates() -> Iterable[PromptTemplate]:
    yield TEMPLATE
