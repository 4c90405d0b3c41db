"""Falcon's formats: plain-text roles (7B Instruct), role lines (Falcon3), ChatML (Falcon-H1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

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

from .chatml import END as IM_END
from .chatml import START as IM_START
from .chatml import render_chatml
from .no_tools import without_tools

if TYPE_CHECKING:
    from graftlm.api import TemplateModel

END = "<|endoftext|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
H1_BEGIN, H1_END = "<|begin_of_text|>", "<|end_of_text|>"


def clean(words: str) -> str:
    """A blank line separates turns, so contents hold none."""
    return words.strip().replace("\r\n", "\n").replace("\n\n", "\n")


@without_tools
def render_instruct(conversation: Conversation, options: RenderOptions) -> list[Span]:
    """``S\\n\\nUser: U1\\n\\nAssistant: A1\\n\\nUser: …``; the model's own template has no end token, so training
    adds ``<|endoftext|>`` after each answer and supervises it.
    """
    spans: list[Span] = []
    for message in conversation.messages:
        message = replace(message, content=clean(message.content))
        if message.role == "system":
            spans.append(content(message.content))
        elif message.role == "assistant":
            spans += [text("\n\nAssistant:"), *answer(message, before=" ", end=END, added=True)]
        else:
            spans += [text("\n\nUser: "), content(message.content)]
    return [*spans, text("\n\nAssistant:")] if options.generation_prompt else spans


@without_tools
def render_falcon3(conversation: Conversation, options: RenderOptions, marked: bool = False) -> list[Span]:
    """``<|system|>\\nS\\n<|user|>\\nU1\\n<|assistant|>\\nA1<|endoftext|>\\n<|user|>\\nU2\\n<|assistant|>\\n``; after a
    final answer no new line follows. ``marked``: the tokenizer has tokens for the roles.
    """
    tag = control if marked else text
    spans: list[Span] = []
    for i, message in enumerate(conversation.messages, 1):
        spans += [tag(f"<|{message.role}|>"), text("\n")]
        if message.role != "assistant":
            spans += [content(message.content), text("\n")]
        else:
            spans += answer(message, end=END)
            spans += [text("\n")] if i < len(conversation.messages) else []
    return [*spans, tag(ROLES[2]), text("\n")] if options.generation_prompt else spans


def _falcon3_for(model: TemplateModel) -> PromptTemplate:
    if not model.added_tokens.issuperset(ROLES):
        return FALCON3
    return replace(
        FALCON3,
        render=lambda conversation, options: render_falcon3(conversation, options, True),
        control_tokens=(*ROLES, END),
    )


FALCON3 = PromptTemplate(
    name="falcon3",
    summary="Falcon3 Instruct: <|user|> and <|assistant|> on lines of their own",
    render=render_falcon3,
    control_tokens=(END,),
    end_token=END,
    stop_tokens=(END,),
    document_end=END,
    for_model=_falcon3_for,
)


def _h1(begin: str, end_of_text: str) -> PromptTemplate:
    """``<|begin_of_text|><|im_start|>user\\nU1<|im_end|>\\n<|im_start|>assistant\\n``: the model's BOS, then ChatML."""
    return PromptTemplate(
        name="falcon-h1",
        summary="Falcon-H1 Instruct: the model's first token, then ChatML",
        render=lambda conversation, options: [control(begin), *render_chatml(conversation, options)],
        control_tokens=(begin, IM_START, IM_END),
        end_token=IM_END,
        stop_tokens=(IM_END, end_of_text),
        document_start=(begin,),
        document_end=end_of_text,
        for_model=_h1_for,
    )


def _h1_for(model: TemplateModel) -> PromptTemplate:
    own_end = model.eos_token if model.eos_token != IM_END else ""  # an instruct model's EOS may be its end of turn
    return _h1(model.bos_token or H1_BEGIN, own_end or H1_END)


@hookimpl
def graftlm_prompt_templates() -> Iterable[PromptTemplate]:
    yield PromptTemplate(
        name="falcon-instruct",
        summary="Falcon-7B-Instruct: 'User:' and 'Assistant:' in plain text",
        render=render_instruct,
        control_tokens=(END,),
        end_token=END,
        stop_tokens=(END,),
        said=clean,
        document_end=END,
    )
    yield FALCON3
    yield _h1(H1_BEGIN, H1_END)
