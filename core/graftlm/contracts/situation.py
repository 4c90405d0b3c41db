"""What a compatibility predicate is given: facts, never names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .model import FamilyFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device: ``type`` as torch names it, memory in bytes, CUDA compute capability where it has one."""

    type: str
    name: str = ""
    memory: int = 0
    compute_capability: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a worker of an environment said of its machine. ``code`` is the digest of its graftlm's sources."""

    python: str
    versions: Mapping[str, str]
    devices: tuple[Device, ...]
    dtypes: tuple[str, ...] = ()
    code: str = ""

    @property
    def device_types(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(d.type for d in self.devices))


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """The run as far as it is resolved when a plugin is asked whether it can take part.

    ``attention`` is transformers' name of what will be asked for, ``backend_options`` are the chosen backend's.
    ``dropout`` is the method's.
    """

    facts: FamilyFacts
    config: Mapping[str, Any]
    probe: Probe
    device: str
    dtype: str
    quantization: str = "none"
    quantization_bits: float = 0
    quantization_options: Mapping[str, Any] = field(default_factory=dict)
    method: str = "lora"
    method_keeps: str = "adapter"
    method_options: Mapping[str, Any] = field(default_factory=dict)
    dropout: float = 0.0
    trust_remote_code: bool = False
    attention: str = "sdpa"
    backend_options: Mapping[str, Any] = field(default_factory=dict)
    label_smoothing: float = 0.0
