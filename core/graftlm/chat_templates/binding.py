"""A template is made for a model where that matters."""

from __future__ import annotations

from graftlm.contracts.specs import PromptTemplate
from graftlm.contracts.template_model import TemplateModel


def bound(template: PromptTemplate, model: TemplateModel) -> PromptTemplate:
    """The template as it is used with the model."""
    return template if template.for_model is None else template.for_model(model)
