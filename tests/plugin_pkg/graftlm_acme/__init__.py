"""ACME's language models for graftlm: a family, its prompt template, and a preset of backends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graftlm.api import (
    BackendPreset,
    Conversation,
    FamilyFacts,
    ModelFamily,
    PromptTemplate,
    RenderOptions,
    Span,
    answer,
    content,
    control,
    hookimpl,
    text,
)

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")
HEADINGS = {"system": "## Rules\n", "user": "## Question\n", "assistant": "## Answer\n"}
START, END = "<s>", "</s>"


def facts(config: Mapping[str, Any]) -> FamilyFacts:
    """ACME's checkpoints are ``olmo2`` models."""
    return FamilyFacts(attention=ATTENTION, mlp=MLP, default_targets=ATTENTION + MLP)


def render(conversation: Conversation, options: RenderOptions) -> list[Span]:
    """``<s>## Question\\nU\\n## Answer\\nA</s>``: a heading over each turn."""
    spans = [control(START)]
    for message in conversation.messages:
        spans.append(text(HEADINGS[message.role]))
        if message.role == "assistant":
            spans += answer(message, end=END)
        else:
            spans += [content(message.content), text("\n")]
    if options.generation_prompt:
        spans.append(text(HEADINGS["assistant"]))
    return spans


@hookimpl
def graftlm_model_families() -> Iterable[ModelFamily]:
    yield ModelFamily(
        name="acme", summary="ACME", model_types=("olmo2",), facts=facts, template=lambda model: "acme-chat"
    )


@hookimpl
def graftlm_prompt_templates() -> Iterable[PromptTemplate]:
    yield PromptTemplate(
        name="acme-chat",
        summary="ACME: a heading over each turn",
        aliases=("acme",),
        render=render,
        control_tokens=(START, END),
        end_token=END,
        stop_tokens=(END,),
    )


@hookimpl
def graftlm_backends() -> Iterable[BackendPreset]:
    yield BackendPreset(name="acme-fast", summary="peft with plain attention", backend="peft", accelerators=("eager",))
