"""From a model reference to its description and its family."""

from __future__ import annotations

from pathlib import Path

from graftlm.contracts.errors import ModelError, PluginError
from graftlm.contracts.model import ModelDescription, ModelRequest
from graftlm.contracts.specs import ModelFamily, ModelSource
from graftlm_registry.home import home
from graftlm_registry.models import catalogue
from graftlm_registry.plugins import Registry
from graftlm_registry.suggestions import unknown

from .requirements import missing


def request(reference: str, revision: str = "", offline: bool = False, code: bool = False) -> ModelRequest:
    return ModelRequest(
        reference=reference,
        catalogue=catalogue(),
        cache=home() / "cache",
        revision=revision,
        offline=offline,
        code=code,
    )


def source_of(asked: ModelRequest, registry: Registry) -> ModelSource:
    """The first source, by rank, that takes the reference."""
    sources = sorted(registry.all(ModelSource), key=lambda s: s.rank)
    source = next((s for s in sources if s.accepts(asked)), None)
    if source is None:
        known = [n if asked.catalogue.entry(n).folder else f"shape:{n}" for n in asked.catalogue.names()]
        looked = unknown("model", asked.reference, known)
        raise ModelError(f"{looked}; or give a folder, a hub id (OWNER/NAME), or shape:NAME")
    unavailable = missing(source.requires)
    if unavailable:
        raise ModelError(f"{asked.reference}: the source '{source.name}' {unavailable[0]}")
    return source


def describe(asked: ModelRequest, registry: Registry) -> tuple[ModelSource, ModelDescription]:
    """The source and the description; ``ModelError`` where the model cannot be had or has no model_type."""
    source = source_of(asked, registry)
    try:
        description = source.describe(asked)
    except OSError as error:
        raise ModelError(f"{asked.reference} cannot be read: {error}") from None
    if asked.revision and not description.revision:
        raise ModelError(
            f"--revision {asked.revision}: {asked.reference} has no revisions, being of source '{source.name}'"
        )
    if not description.model_type:
        raise ModelError(f"{Path(description.folder) / 'config.json'} names no model_type")
    return source, description


def family_of(description: ModelDescription, name: str, registry: Registry) -> ModelFamily:
    """The family that was named, or the one that knows the model_type."""
    if name != "auto":
        family = registry.get(ModelFamily, name)
        if description.model_type not in family.model_types:
            raise ModelError(
                f"{description.name} is a {description.model_type} model, and family '{name}' knows "
                f"{', '.join(family.model_types)}: leave --family out"
            )
        return family
    fitting = [f for f in registry.all(ModelFamily) if description.model_type in f.model_types]
    if len(fitting) > 1:
        who = " and ".join(f"'{f.name}'" for f in fitting)
        raise PluginError(f"the families {who} both know {description.model_type}: choose one with --family")
    if not fitting:
        known = ", ".join(t for f in registry.all(ModelFamily) for t in f.model_types)
        raise ModelError(
            f"{description.name} is a {description.model_type} model, which no family here supports. "
            f"Supported model types: {known}; a plugin can add a family"
        )
    return fitting[0]
