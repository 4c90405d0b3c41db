"""Mistral's instruction format, v3 with a SentencePiece tokenizer (Mistral-7B-Instruct-v0.3)."""

from __future__ import annotations

from collections.abc import Iterable

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


def render_v3(conversation: Conversation, options: RenderOptions) -> list[Span]:
    """``<s>[INST] U1[/INST] A1</s>[INST] S\\n\\nU2[/INST]``: the system text stands in the *last* user turn."""
    system = "\n\n".join(m.content for m in conversation.messages if m.role == "system")
    turns = [m for m in conversation.messages if m.role != "system"]
    last_user = max((i for i, m in enumerate(turns) if m.role == "user"), default=-1)
    spans = [control("<s>")]
    for i, message in enumerate(turns):
        if message.role == "assistant":
            spans += answer(message, before=" ", end="</s>")
            continue
        spans += [control("[INST]"), text(" ")]
        if system and i == last_user:
            spans += [content(system), text("\n\n")]
        spans += [content(message.content), control("[/INST]")]
    return spans


@hookimpl
def graftlm_prompt_templates() -> Iterable[PromptTemplate]:
    yield PromptTemplate(
        name="mistral-v3",
        summary="Mistral Instruct v0.3: [INST] … [/INST], system text in the last user turn",
        render=render_v3,
        control_tokens=("<s>", "</s>", "[INST]", "[/INST]"),
        end_token="</s>",
        stop_tokens=("</s>",),
    )
