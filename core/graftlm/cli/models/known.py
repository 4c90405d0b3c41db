"""What is known of a base model before anything of it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graftlm.contracts.errors import GraftlmError
from graftlm.contracts.model import CatalogueEntry, FamilyFacts, ModelDescription, ModelShape
from graftlm.contracts.specs import ModelFamily
from graftlm_registry.models import catalogue
from graftlm_registry.plugins import Registry

SHAPE = "shape:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A model, its entry in the catalogue where it has one, and what its family says (``problem``: why none does)."""

    reference: str
    description: ModelDescription
    entry: CatalogueEntry | None
    family: ModelFamily | None
    facts: FamilyFacts | None
    template: str
    problem: str = ""

    @property
    def shape(self) -> ModelShape | None:
        return self.facts.shape if self.facts else None

    @property
    def licence(self) -> str:
        return self.entry.licence if self.entry else ""

    @property
    def published(self) -> str:
        """Parameters in billions, as the owners write it; empty where none are known."""
        return catalogue().published(self.entry.name) if self.entry and self.entry.folder is None else ""


def known(reference: str, registry: Registry) -> Known:
    """By a name of the catalogue (``shape:`` may be left out), a folder or a hub id, whose small files are fetched.

    Raises ``ModelError`` with the nearest names.
    """
    from graftlm.planning.base_model import describe, request

    name = reference.removeprefix(SHAPE)
    if name in catalogue().names():
        return of_entry(name, registry)
    description = describe(request(reference), registry)[1]
    return _known(reference, description, None, registry)


def of_entry(name: str, registry: Registry) -> Known:
    """Of the catalogue; nothing is written or fetched."""
    entry = catalogue().entry(name)
    description = ModelDescription(
        name=entry.hub or name,  # a template may follow from what the owners call it
        source="built-in" if entry.folder else "shape",
        folder=entry.folder or entry.tokenizer,
        config=entry.config,
        weights="files" if entry.folder else "random",
    )
    return _known(name if entry.folder else f"{SHAPE}{name}", description, entry, registry)


def _known(reference: str, description: ModelDescription, entry: CatalogueEntry | None, registry: Registry) -> Known:
    from graftlm.planning.base_model import family_of

    family, facts, template, problem = None, None, "", ""
    try:
        family = family_of(description, "auto", registry)
        facts = family.facts(description.config)
        template = family.template(description)
    except GraftlmError as error:
        problem = str(error)
    return Known(
        reference=reference, description=description, entry=entry, family=family, facts=facts, template=template,
        problem=problem,
    )  # fmt: skip


def as_data(model: Known) -> dict[str, Any]:
    """For ``--json``. Figures that the family does not give are left out."""
    entry, shape = model.entry, model.shape
    found: dict[str, Any] = {
        "model": model.reference,
        "name": entry.name if entry else model.description.name,
        "summary": entry.summary if entry else "",
        "hub": entry.hub if entry else model.description.name if model.description.source == "hub" else "",
        "licence": model.licence,
        "weights": model.description.source if model.description.weights == "files" else "random",
        "model_type": model.description.model_type,
        "family": model.family.name if model.family else "",
        "template": model.template,
    }
    if model.problem:
        found["problem"] = model.problem
    if shape is not None:
        found |= {
            "parameters": shape.parameters, "published_billions": model.published, "active_parameters": shape.active,
            "layers": shape.layers, "context": shape.context, "hidden": shape.hidden, "heads": shape.heads,
            "kv_heads": shape.kv_heads, "head_dim": shape.head_dim, "intermediate": shape.intermediate,
            "vocabulary": shape.vocabulary, "tied": shape.tied,
        }  # fmt: skip
    return found
