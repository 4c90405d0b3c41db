"""How rows become samples, as settings, model and template have it."""

from __future__ import annotations

from graftlm.contracts.config import AUTO
from graftlm.contracts.errors import UsageError
from graftlm.contracts.model import ModelDescription
from graftlm.contracts.plan import EncodingPlan
from graftlm.contracts.specs import PromptTemplate

from .settings import Settings


def encoding_plan(
    settings: Settings, template: PromptTemplate, thoughts: bool, description: ModelDescription
) -> EncodingPlan:
    """``thoughts`` says whether the data holds some."""
    return EncodingPlan(
        max_length=max_length(settings, description),
        overlong=settings["overlong"],
        train_on=settings["train_on"],
        thinking=thinks(settings["thinking"], template, thoughts),
    )


def max_length(settings: Settings, description: ModelDescription) -> int:
    """Tokens; never more than the model's positions."""
    wanted: int = settings["max_length"]
    context = description.config.get("max_position_embeddings")
    if not isinstance(context, int) or wanted <= context:
        return wanted
    if settings.asked("max_length"):
        raise UsageError(f"--max-length {wanted} is longer than the {context} positions of {description.name}")
    return context


def thinks(wanted: str, template: PromptTemplate, thoughts: bool) -> bool:
    """Whether the model is asked to reason: ``on``, ``off``, or ``auto``, where the data holds thoughts."""
    if wanted == "on" and not template.thinking:
        raise UsageError(f"--thinking on: the template '{template.name}' has no thinking mode")
    return template.thinking and (wanted == "on" or (wanted == AUTO and thoughts))
