"""How a base is loaded: what must be the same again for an adapter to fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

RopeKind = Literal["linear", "dynamic", "yarn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RopePlan:
    """RoPE scaling by ``factor``: from ``original`` positions, which the model was made for, to ``context``."""

    kind: RopeKind
    factor: float
    original: int
    context: int

    def __str__(self) -> str:
        return f"{self.kind} by {self.factor:g}, from {self.original:,} to {self.context:,} positions"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """``name`` is the model's. ``dtype`` is the precision of the weights that are not quantized, and of computing.

    ``attention`` is transformers' name. ``options`` are the quantization's. ``linear_classes`` are the family's
    subclasses of ``nn.Linear``.
    """

    name: str
    dtype: str
    attention: str
    quantization: str = "none"
    options: Mapping[str, Any] = field(default_factory=dict)
    rope: RopePlan | None = None
    trust_remote_code: bool = False
    linear_classes: tuple[str, ...] = ()
