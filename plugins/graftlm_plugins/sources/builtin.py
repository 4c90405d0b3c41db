"""The small models that come with graftlm."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from graftlm.api import ModelDescription, ModelError, ModelRequest, ModelSource, hookimpl


def accepts(request: ModelRequest) -> bool:
    names = request.catalogue.names()
    return request.reference in names and request.catalogue.entry(request.reference).folder is not None


def describe(request: ModelRequest) -> ModelDescription:
    entry = request.catalogue.entry(request.reference)
    if entry.folder is None:
        raise ModelError(f"{entry.name} does not come with graftlm: use its hub id, or shape:{entry.name}")
    return ModelDescription(
        name=entry.name,
        source="built-in",
        folder=entry.folder,
        config=entry.config,
        suggestions=entry.suggestions,
        suites=entry.suites,
        retention=entry.retention,
    )


def fetch(request: ModelRequest, description: ModelDescription) -> Path:
    return description.folder


@hookimpl
def graftlm_model_sources() -> Iterable[ModelSource]:
    yield ModelSource(
        name="built-in",
        summary="small models that come with graftlm",
        rank=10,
        accepts=accepts,
        describe=describe,
        fetch=fetch,
    )
