"""A model, as it is known before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """A base model that graftlm knows by name. ``folder`` is None where only its shape is known.

    ``tokenizer`` is the folder of a tokenizer to use with its shape. ``suggestions`` are settings that suit the model,
    by the names of ``RunConfig``; ``suites`` are files of rows that score its skills.
    """

    name: str
    summary: str
    config: Mapping[str, Any]
    tokenizer: Path
    folder: Path | None = None
    suggestions: Mapping[str, Any] = field(default_factory=dict)
    suites: Mapping[str, Path] = field(default_factory=dict)


class Catalogue(Protocol):
    """The known base models."""

    def names(self) -> tuple[str, ...]: ...

    def entry(self, name: str) -> CatalogueEntry:
        """Raises ``ModelError`` with the nearest names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """What a source is asked for. ``revision`` and ``offline`` are for sources that have them.

    ``cache`` is a folder for files that the source makes.
    """

    reference: str
    catalogue: Catalogue
    cache: Path
    revision: str = ""
    offline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """A model's small files.

    ``folder`` holds the small files (and perhaps the weights). ``weights``: whether they are files to read or random
    numbers to draw.
    ``suggestions`` are settings that suit this model, by the names of ``RunConfig``.
    """

    name: str
    source: str
    folder: Path
    config: Mapping[str, Any]
    revision: str = ""
    weights: Literal["files", "random"] = "files"
    suggestions: Mapping[str, Any] = field(default_factory=dict)
    suites: Mapping[str, Path] = field(default_factory=dict)

    @property
    def model_type(self) -> str:
        return str(self.config.get("model_type", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyFacts:
    """What holds for an architecture.

    ``attention`` and ``mlp`` are the names of its linear layers by role (the last part of the module's path);
    ``fused`` are those of them that hold several projections. ``linear_classes`` are the subclasses of ``nn.Linear``
    that it uses, as ``module:Class``. ``attention_implementations`` are transformers' names. ``packing``: under which
    of them several samples in one row with restarting position ids give exactly the separate logits.
    ``default_targets`` is the safe choice where the user names none.
    """

    attention: tuple[str, ...]
    mlp: tuple[str, ...]
    fused: tuple[str, ...] = ()
    linear_classes: tuple[str, ...] = ()
    attention_implementations: tuple[str, ...] = ("eager", "sdpa")
    packing: tuple[str, ...] = ()
    default_targets: tuple[str, ...] = ()
    rope: tuple[str, ...] = ("default", "linear", "dynamic", "yarn")
    notes: tuple[str, ...] = ()
