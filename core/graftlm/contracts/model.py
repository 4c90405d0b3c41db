"""A model, as it is known before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """A base model that graftlm knows by name. ``folder`` is None where only its shape is known.

    ``tokenizer`` is the folder of a tokenizer to use with its shape. ``hub`` is its id there, ``licence`` what its
    owners call it. ``suggestions`` are settings that suit the model,
    by the names of ``RunConfig``; ``suites`` are files of rows that score its skills, and ``retention`` one of texts of
    its own world, by which forgetting is measured.
    """

    name: str
    summary: str
    config: Mapping[str, Any]
    tokenizer: Path
    folder: Path | None = None
    hub: str = ""
    licence: str = ""
    suggestions: Mapping[str, Any] = field(default_factory=dict)
    suites: Mapping[str, Path] = field(default_factory=dict)
    retention: Path | None = None


class Catalogue(Protocol):
    """The known base models."""

    def names(self) -> tuple[str, ...]: ...

    def entry(self, name: str) -> CatalogueEntry:
        """Raises ``ModelError`` with the nearest names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """What a source is asked for. ``revision`` and ``offline`` are for sources that have them.

    ``cache`` is a folder for files that the source makes. ``code``: the checkpoint's own Python files are trusted, and
    brought too.
    """

    reference: str
    catalogue: Catalogue
    cache: Path
    revision: str = ""
    offline: bool = False
    code: bool = False


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
    retention: Path | None = None

    @property
    def model_type(self) -> str:
        return str(self.config.get("model_type", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearShape:
    """Linear layers of one name: ``count`` of them in the whole model, each ``[outputs, inputs]``."""

    name: str
    inputs: int
    outputs: int
    count: int
    bias: bool = False

    @property
    def parameters(self) -> int:
        return self.count * self.outputs * (self.inputs + self.bias)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """The sizes that follow from a configuration. Counts are of scalars where nothing else is said.

    ``linear`` are the linear layers without embeddings and head. ``experts`` are the parameters of fused experts
    (3-D tensors, which quantizers pass by), ``active_experts`` those that one token meets. ``other`` is all else:
    norms, routers, convolutions. ``tied``: the head is the embeddings. ``context`` is in tokens.
    """

    hidden: int
    layers: int
    vocabulary: int
    context: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    linear: tuple[LinearShape, ...]
    tied: bool
    other: int = 0
    experts: int = 0
    active_experts: int = 0

    @property
    def embedding(self) -> int:
        """Of the embeddings alone; an untied head has as many again."""
        return self.vocabulary * self.hidden

    @property
    def in_linear(self) -> int:
        return sum(layer.parameters for layer in self.linear)

    @property
    def parameters(self) -> int:
        return self.in_linear + self.experts + self.other + self.embedding * (1 if self.tied else 2)

    @property
    def active(self) -> int:
        """Parameters that one token meets."""
        return self.parameters - self.experts + self.active_experts


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyFacts:
    """What holds for an architecture.

    ``attention`` and ``mlp`` are the names of its linear layers by role (the last part of the module's path; what
    mixes tokens otherwise, as a state space does, is attention); ``fused`` are those of them that hold several
    projections. ``untargeted`` are linear layers that no adapter can take, and ``untargeted_reason`` says why.
    ``linear_classes`` are the subclasses of ``nn.Linear`` that it uses, as ``module:Class``, which compute what
    ``nn.Linear`` does. ``attention_implementations`` are transformers' names. ``packing``: under which of them several
    samples in one row with restarting position ids give exactly the separate logits. ``default_targets`` is the safe
    choice where the user names none. ``rope`` are the kinds of RoPE scaling that it honours, and ``no_rope`` says why
    there are none. ``remote_code``: transformers has no code for it; the checkpoint's own must be trusted.
    ``modules`` are the paths of all modules that have a weight or bias, numbers of layers written as ``*``
    (``model.layers.*.mlp.up_proj``), and other tensors as ``path:tensor``, such as those of fused experts. Where they
    are empty, only a loaded model tells whether a name in a method's options is there. ``notes`` are sentences that
    ``graftlm models show`` adds.
    """

    attention: tuple[str, ...]
    mlp: tuple[str, ...]
    fused: tuple[str, ...] = ()
    linear_classes: tuple[str, ...] = ()
    attention_implementations: tuple[str, ...] = ("eager", "sdpa")
    packing: tuple[str, ...] = ()
    default_targets: tuple[str, ...] = ()
    untargeted: tuple[str, ...] = ()
    untargeted_reason: str = ""
    rope: tuple[str, ...] = ("linear", "dynamic", "yarn")
    no_rope: str = ""
    remote_code: bool = False
    modules: tuple[str, ...] = ()
    shape: ModelShape | None = None
    notes: tuple[str, ...] = ()
