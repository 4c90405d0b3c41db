"""Alpaca's and Vicuna's formats: plain text for a base model, which ends answers with its own end-of-text token."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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

from .no_tools import without_tools

if TYPE_CHECKING:
    from graftlm.api import TemplateModel

EOS = "</s>"
ALPACA_SYSTEM = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request."
)
VICUNA_SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
Render = Callable[[Conversation, RenderOptions, str], list[Span]]


def _system(conversation: Conversation, default: Span) -> list[Span]:
    """The system texts as one, or the ``default`` where there is no system turn; nothing where they are empty."""
    given = [m.content for m in conversation.messages if m.role == "system"]
    if not given:
        return [default]
    return [content("\n\n".join(given))] if any(given) else []


def render_alpaca(conversation: Conversation, options: RenderOptions, end: str) -> list[Span]:
    """``Below is an instruction … the request.\\n\\n### Instruction:\\nU1\\n\\n### Response:\\nA1</s>``; more turns are
    more blocks, and a system turn takes the place of the first sentences.
    """
    spans = _system(conversation, text(ALPACA_SYSTEM))
    for message in conversation.messages:
        gap = "\n\n" if spans else ""
        if message.role == "assistant":
            spans += [text(f"{gap}### Response:\n"), *answer(message, end=end)]
        elif message.role != "system":
            spans += [text(f"{gap}### Instruction:\n"), content(message.content)]
    return [*spans, text("\n\n### Response:\n")] if options.generation_prompt else spans


def render_vicuna(conversation: Conversation, options: RenderOptions, end: str) -> list[Span]:
    """``A chat between … questions. USER: U1 ASSISTANT: A1</s>USER: U2 ASSISTANT:``"""
    spans = _system(conversation, text(VICUNA_SYSTEM))
    for message in conversation.messages:
        gap = " " if spans and spans[-1].kind != "control" else ""
        if message.role == "assistant":
            spans += [text(f"{gap}ASSISTANT:"), *answer(message, before=" ", end=end)]
        elif message.role != "system":
            spans += [text(f"{gap}USER: "), content(message.content)]
    return [*spans, text(" ASSISTANT:")] if options.generation_prompt else spans


def _template(name: str, summary: str, render: Render, begin: str = "", end: str = EOS) -> PromptTemplate:
    """For a model whose texts begin with ``begin`` (which may be empty) and end with ``end``."""

    @without_tools
    def rendered(conversation: Conversation, options: RenderOptions) -> list[Span]:
        return [*start, *render(conversation, options, end)]

    def for_model(model: TemplateModel) -> PromptTemplate:
        own_end = model.eos_token or EOS
        # One token for both is a separator, which such models' tokenizers put before no text.
        return _template(name, summary, render, model.bos_token if model.bos_token != own_end else "", own_end)

    start = [control(begin)] if begin else []
    tokens = (begin,) if begin else ()
    return PromptTemplate(
        name=name,
        summary=summary,
        render=rendered,
        control_tokens=(*tokens, end),
        end_token=end,
        stop_tokens=(end,),
        document_start=tokens,
        document_end=end,
        for_model=for_model,
    )


@hookimpl
def graftlm_prompt_templates() -> Iterable[PromptTemplate]:
    yield _template("alpaca", "Alpaca: '### Instruction:' and '### Response:', for base models", render_alpaca)
    yield _template("vicuna", "Vicuna v1.1: 'USER:' and 'ASSISTANT:' in plain text", render_vicuna)
