"""Which prompt template, and does it say what the model's own says?

The family names a template by what it knows of the model; the model's own chat template, where it has one, is the
judge. Where they differ, a template that renders as the model's own does is taken instead; where there is none, the
plan says so, and shows where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from graftlm.chat_templates.binding import bound
from graftlm.chat_templates.comparison import Comparison, OwnText, compare, digest_of, own_texts
from graftlm.chat_templates.own import OwnTemplate
from graftlm.contracts.config import AUTO
from graftlm.contracts.errors import GraftlmError, ModelError
from graftlm.contracts.model import ModelDescription
from graftlm.contracts.serial import from_json, to_json
from graftlm.contracts.specs import ModelFamily, PromptTemplate
from graftlm_registry.home import home, keep
from graftlm_registry.plugins import Registry

from .tokens import missing_tokens

JUDGE = "model"
"""The template that is the model's own, which needs no comparison."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenTemplate:
    """A template made for the model. ``own``: does it render as the model's own chat template does?"""

    template: PromptTemplate
    why: str
    problems: tuple[str, ...]
    own: Literal["same", "alike", "other", "none"]


def choose_template(
    asked: str, allow_mismatch: bool, family: ModelFamily, description: ModelDescription, registry: Registry
) -> ChosenTemplate:
    """The template that was named, or the one that fits the model."""
    own = OwnTemplate.from_folder(description.folder, description.name)
    name = family.template(description) if asked == AUTO else asked
    template = bound(registry.get(PromptTemplate, name), own)
    why = "family" if asked == AUTO else "asked"
    lacking = tuple(missing_tokens(template, description.folder))
    if template.name == JUDGE:
        return ChosenTemplate(template=template, why=why, problems=lacking, own="same")
    if not own.chat_template:
        return ChosenTemplate(template=template, why=why, problems=lacking, own="none")
    texts = kept_own_texts(own)
    found = compare(template, texts)
    if found.proved:
        return ChosenTemplate(template=template, why=why, problems=lacking, own="same")
    if asked == AUTO:
        for other in registry.all(PromptTemplate):
            fitting = _made_for(other, own)
            if fitting and not missing_tokens(fitting, description.folder) and compare(fitting, texts).proved:
                return ChosenTemplate(template=fitting, why="renders as the model's own", problems=(), own="same")
    if found.compared and not found.mismatches:
        return ChosenTemplate(template=template, why=why, problems=lacking, own="alike")
    if allow_mismatch:
        return ChosenTemplate(template=template, why=why, problems=lacking, own="other")
    return ChosenTemplate(template=template, why=why, problems=(*lacking, _mismatch(found, texts)), own="other")


def _made_for(template: PromptTemplate, own: OwnTemplate) -> PromptTemplate | None:
    """A stranger's template must not stop a plan that does not use it."""
    if template.name == JUDGE:
        return None
    try:
        return bound(template, own)
    except GraftlmError:
        return None


def _mismatch(found: Comparison, texts: Sequence[OwnText]) -> str:
    if not found.compared:
        return (
            f"the model's own chat template renders none of {len(texts)} conversations, so nothing can be compared: "
            "--allow-template-mismatch goes on without"
        )
    return (
        f"renders otherwise than the model's own chat template ({len(found.differences)} of {found.compared} "
        f"conversations), as {found.mismatches[0]}\n"
        "Take --template model, which is the model's own, or go on with --allow-template-mismatch"
    )


def kept_own_texts(own: OwnTemplate) -> tuple[OwnText, ...]:
    """The corpus as the model's own template renders it, kept: it takes another process."""
    kept = home() / "cache" / "chat-templates" / f"{digest_of(own)}.json"
    if kept.is_file():
        return from_json(kept.read_bytes(), tuple[OwnText, ...], "a kept chat template")
    try:
        texts = own_texts(own)
    finally:
        own.close()
    keep(kept, to_json(texts))
    return texts


def template_for(name: str, description: ModelDescription, registry: Registry) -> PromptTemplate:
    """A template by name, made for a model; ``ModelError`` where the tokenizer lacks its control tokens."""
    template = bound(registry.get(PromptTemplate, name), OwnTemplate.from_folder(description.folder, description.name))
    for problem in missing_tokens(template, description.folder):
        raise ModelError(f"{description.name} cannot be used with template '{template.name}': {problem}")
    return template
