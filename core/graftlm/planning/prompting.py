"""Which prompt template, and does it say what the model's own says?

The family names a template by what it knows of the model; the model's own chat template, where it has one, is the
judge. Where they differ, a template that renders as the model's own does is taken instead; where there is none, the
plan says so, and shows where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from graftlm.chat_templates.binding import bound, undated
from graftlm.chat_templates.comparison import Comparison, OwnText, compare, digest_of, own_texts
from graftlm.chat_templates.own import OwnTemplate
from graftlm.contracts.config import AUTO
from graftlm.contracts.errors import ModelError
from graftlm.contracts.model import ModelDescription
from graftlm.contracts.plan import TemplatePlan
from graftlm.contracts.serial import digest, to_json
from graftlm.contracts.specs import ModelFamily, PromptTemplate
from graftlm_registry.home import home, keep
from graftlm_registry.plugins import Registry

from .fingerprints import small_files, strangers_code, template_hash
from .kept import kept_value
from .tokens import missing_tokens

OwnState = Literal["same", "alike", "other", "none"]
JUDGE = "model"
"""The template that is the model's own, which needs no comparison."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenTemplate:
    """A template made for the model. ``own``: does it render as the model's own chat template does?

    ``hash`` is the same on every day; ``today`` is the day that the template writes, where it asks for it.
    """

    template: PromptTemplate
    why: str
    problems: tuple[str, ...]
    own: OwnState
    hash: str
    today: str


def choose_template(
    asked: str, allow_mismatch: bool, family: ModelFamily, description: ModelDescription, registry: Registry
) -> ChosenTemplate:
    """The template that was named, or the one that fits the model."""
    own = OwnTemplate.from_folder(description.folder, description.name)
    name = family.template(description) if asked == AUTO else asked
    template = bound(registry.get(PromptTemplate, name), own)
    first = _chosen(template, "family" if asked == AUTO else "asked", "none", own, description, registry)
    if template.name == JUDGE:
        return replace(first, own="same")
    if not own.chat_template:
        return first
    try:
        texts = kept_own_texts(own)
    except ModelError as error:
        if asked == AUTO:
            raise
        return replace(first, own="other") if allow_mismatch else _against(first, f"cannot be compared: {error}")
    found = compare(template, texts)
    if found.proved:
        return replace(first, own="same")
    if asked == AUTO:
        for other in registry.all(PromptTemplate):
            fitting = _fitting(other, own, texts, description)
            if fitting is not None:
                return _chosen(fitting, "renders as the model's own", "same", own, description, registry)
    if found.compared and not found.mismatches:
        return replace(first, own="alike")
    return replace(first, own="other") if allow_mismatch else _against(first, _mismatch(found, texts))


def template_plan(prompting: ChosenTemplate, description: ModelDescription) -> TemplatePlan:
    """As a plan has it."""
    template = prompting.template
    return TemplatePlan(
        name=template.name,
        hash=prompting.hash,
        made_of=digest([small_files(description.folder), strangers_code(template)]),
        end_token=template.end_token,
        stop_tokens=template.stop_tokens,
        own=prompting.own,
        today=prompting.today,
    )


def _chosen(
    template: PromptTemplate,
    why: str,
    own_text: OwnState,
    own: OwnTemplate,
    description: ModelDescription,
    registry: Registry,
) -> ChosenTemplate:
    dated = registry.get(PromptTemplate, template.name).for_model is not None and own.asks_for_the_date
    return ChosenTemplate(
        template=template,
        why=why,
        problems=tuple(missing_tokens(template, description.folder)),
        own=own_text,
        hash=template_hash(undated(registry.get(PromptTemplate, template.name), own)),
        today=date.today().isoformat() if dated else "",
    )


def _against(chosen: ChosenTemplate, problem: str) -> ChosenTemplate:
    return replace(chosen, own="other", problems=(*chosen.problems, problem))


def _fitting(
    template: PromptTemplate, own: OwnTemplate, texts: Sequence[OwnText], description: ModelDescription
) -> PromptTemplate | None:
    """The template made for the model, where it renders as the model's own does. A stranger's that fails in whatever
    way is no candidate, and must not stop a plan that does not use it.
    """
    if template.name == JUDGE:
        return None
    try:
        made = bound(template, own)
        return made if not missing_tokens(made, description.folder) and compare(made, texts).proved else None
    except Exception:  # noqa: BLE001
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
    known = kept_value(kept, tuple[OwnText, ...])
    if known is not None:
        return known
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
