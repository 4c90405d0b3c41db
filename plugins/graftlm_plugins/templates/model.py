"""``model``: whatever the model's own chat template writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from graftlm.api import Conversation, PromptTemplate, RenderOptions, Span, UsageError, hookimpl

if TYPE_CHECKING:
    from graftlm.api import TemplateModel

THOUGHT = "</think>"


def unbound(conversation: Conversation, options: RenderOptions) -> Sequence[Span]:
    raise UsageError("the template 'model' is the model's own: give --model")


def for_model(model: TemplateModel) -> PromptTemplate:
    """The template of one model; ``ModelError`` where it has none, or one that renders nothing."""
    from .model_binding import made_for  # what it takes is imported for the one who takes it

    return made_for(model, TEMPLATE)


def said(answered: str) -> str:
    """Without thoughts, and without white space around."""
    return answered.rpartition(THOUGHT)[2].strip()


TEMPLATE = PromptTemplate(
    name="model",
    summary="the model's own chat template",
    render=unbound,
    control_tokens=(),
    end_token="",
    said=said,
    for_model=for_model,
)


@hookimpl
def graftlm_prompt_templates() -> Iterable[PromptTemplate]:
    yield TEMPLATE
