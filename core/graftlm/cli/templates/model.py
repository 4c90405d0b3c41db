"""A template by name, made for a model where one is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graftlm.contracts.specs import PromptTemplate


def for_model(name: str, model: str) -> PromptTemplate:
    """Raises where the name is unknown, or the model has not the template's control tokens."""
    from graftlm.contracts.specs import PromptTemplate
    from graftlm_registry.plugins import registry

    if not model:
        return registry().get(PromptTemplate, name)
    from graftlm.planning import base_model
    from graftlm.planning.prompting import template_for

    _, description = base_model.describe(base_model.request(model), registry())
    return template_for(name, description, registry())
