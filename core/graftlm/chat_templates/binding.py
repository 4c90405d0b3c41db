"""A template is made for a model where that matters."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from graftlm.contracts.specs import PromptTemplate
from graftlm.contracts.template_model import TemplateModel

if TYPE_CHECKING:
    from .own import OwnTemplate

A_DAY = date(2000, 1, 1)


def bound(template: PromptTemplate, model: TemplateModel) -> PromptTemplate:
    """The template as it is used with the model."""
    return template if template.for_model is None else template.for_model(model)


def undated(template: PromptTemplate, model: OwnTemplate) -> PromptTemplate:
    """The same on a day that never changes: what a hash of the template is taken of."""
    return bound(template, model.dated(A_DAY))


def own_template(folder: Path, today: str) -> OwnTemplate:
    """A model's own chat template as a plan has it: ``today`` is in ISO 8601, or empty where no text asks for it."""
    from .own import OwnTemplate

    return OwnTemplate.from_folder(folder, today=date.fromisoformat(today) if today else None)
