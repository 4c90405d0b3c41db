"""How rows become samples, as settings, model and template have it."""

from __future__ import annotations

from graftlm.contracts.config import AUTO
from graftlm.contracts.errors import UsageError
from graftlm.contracts.plan import EncodingPlan
from graftlm.contracts.specs import PromptTemplate

from .settings import Settings


def encoding_plan(
    settings: Settings, template: PromptTemplate, thoughts: bool, model: str, positions: int | None
) -> EncodingPlan:
    """``thoughts`` says whether the data holds some; ``positions`` are those of the model as it will be loaded."""
    return EncodingPlan(
        max_length=max_length(settings, model, positions),
        overlong=settings["overlong"],
        train_on=settings["train_on"],
        thinking=thinks(settings["thinking"], template, thoughts),
    )


def max_length(settings: Settings, model: str, positions: int | None) -> int:
    """Tokens: never more than the model's positions, and as many where ``--context-length`` asks for them."""
    wanted: int = settings["max_length"]
    if settings.asked("context_length") and not settings.asked("max_length"):
        wanted = settings["context_length"]
    if positions is None or wanted <= positions:
        return wanted
    if settings.asked("max_length"):
        raise UsageError(
            f"--max-length {wanted} is longer than the {positions} positions of {model}: "
            f"give a shorter one, or --context-length {wanted}"
        )
    return positions


def thinks(wanted: str, template: PromptTemplate, thoughts: bool) -> bool:
    """Whether the model is asked to reason: ``on``, ``off``, or ``auto``, where the data holds thoughts."""
    if wanted == "on" and not template.thinking:
        raise UsageError(f"--thinking on: the template '{template.name}' has no thinking mode")
    return template.thinking and (wanted == "on" or (wanted == AUTO and thoughts))
