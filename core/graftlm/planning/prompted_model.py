"""A model as far as its words go: its tokenizer, and the template that it is used with. No weights are fetched."""

from __future__ import annotations

from dataclasses import dataclass

from graftlm.contracts.errors import ModelError
from graftlm.contracts.model import ModelDescription
from graftlm.contracts.specs import PromptTemplate
from graftlm.encoding.tokenizing import SpanTokenizer
from graftlm_registry.plugins import Registry

from . import base_model
from .prompting import choose_template
from .rope import context


@dataclass(frozen=True, slots=True)
class PromptedModel:
    """``problems`` speak against the template: control tokens that are missing, or the model's own text differs.
    ``positions`` are those that the model was made for.
    """

    description: ModelDescription
    template: PromptTemplate
    tokenizer: SpanTokenizer
    problems: tuple[str, ...]
    positions: int | None

    def sound(self) -> PromptedModel:
        """Itself; ``ModelError`` where something speaks against the template."""
        if self.problems:
            raise ModelError(f"template '{self.template.name}' {'; '.join(self.problems)}")
        return self


def prompted_model(
    reference: str,
    registry: Registry,
    *,
    template: str = "auto",
    revision: str = "",
    offline: bool = False,
    allow_mismatch: bool = False,
) -> PromptedModel:
    """The tokenizer and the template of a model reference."""
    asked = base_model.request(reference, revision, offline)
    _, description = base_model.describe(asked, registry)
    family = base_model.family_of(description, "auto", registry)
    chosen = choose_template(template, allow_mismatch, family, description, registry)
    tokenizer = SpanTokenizer.from_folder(description.folder)
    positions = context(family.facts(description.config), description)
    return PromptedModel(description, chosen.template, tokenizer, chosen.problems, positions)
