"""What training a model takes, way by way: full, LoRA, LoRA on a quantized base."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from graftlm.contracts.config import SETTINGS, RunConfig
from graftlm.contracts.load import LoadPlan
from graftlm.contracts.model import FamilyFacts
from graftlm.contracts.plan import MemoryPlan
from graftlm.contracts.situation import Device, Probe, Situation
from graftlm.contracts.specs import Quantization, TuningMethod
from graftlm_registry.plugins import Registry

from .known import Known

DEVICE = "cuda"
ATTENTION = "sdpa"
SAMPLES, TOKENS = 1, 512
RECKONED = f"one sample of {TOKENS} tokens at a time on a GPU, LoRA of rank {SETTINGS['rank']['default']}"


@dataclass(frozen=True, slots=True)
class Way:
    """A way to tune: a method on a base in a precision."""

    label: str
    method: str
    quantization: str
    dtype: str = "bf16"


WAYS = (
    Way("full", "full", "none"),
    Way("lora bf16", "lora", "none"),
    Way("lora int8", "lora", "int8"),
    Way("qlora nf4", "lora", "nf4"),
)
PRECISIONS = (("fp32", "none", "fp32"), ("bf16", "none", "bf16"), ("int8", "int8", "bf16"), ("nf4", "nf4", "bf16"))
"""Label, quantization, dtype of the rest."""


@dataclass(frozen=True, slots=True)
class Cost:
    """``memory`` is None where it cannot be told, or where ``problems`` speak against it."""

    way: Way
    memory: MemoryPlan | None
    problems: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        return self.memory is not None and self.memory.fits


def costs(model: Known, registry: Registry, available: int = sys.maxsize) -> tuple[Cost, ...]:
    """Of every way whose plugins are there. ``available`` is the device's memory in bytes."""
    found = []
    for way in WAYS:
        if way.method in registry.names("method") and way.quantization in registry.names("quantization"):
            method = registry.get(TuningMethod, way.method)
            quantization = registry.get(Quantization, way.quantization)
            found.append(_cost(model, way, method, quantization, available))
    return tuple(found)


def _cost(model: Known, way: Way, method: TuningMethod, quantization: Quantization, available: int) -> Cost:
    from graftlm.planning.memory import estimate
    from graftlm.planning.method_plan import method_plan
    from graftlm.planning.plugin_options import plugin_options
    from graftlm.planning.settings import settle

    facts, shape = model.facts, model.shape
    if facts is None or shape is None:
        return Cost(way, None, (model.problem or "its family says nothing of its sizes",))
    options = plugin_options((method, quantization), {})
    against = _problems(model, facts, way, method, quantization, options.get("quantization", {}), available)
    if against or method.trained is None:
        return Cost(way, None, against or (f"method {method.name} does not count what it trains",))
    settings = settle(RunConfig(method=way.method), {"method": method.suggestions})
    planned = method_plan(method, settings, facts, options.get("method", {}), None)
    memory = estimate(
        facts,
        load=_load(model, facts, way.dtype, quantization, options.get("quantization", {})),
        bits=quantization.bits,
        trained=method.trained(shape, planned),
        keeps=method.keeps,
        samples=SAMPLES,
        tokens=TOKENS,
        checkpointing=bool(settings["gradient_checkpointing"]),
        device=DEVICE,
        available=available,
    )
    return Cost(way, memory)


def weights(model: Known, registry: Registry) -> Iterator[tuple[str, int]]:
    """Bytes of the weights by precision, as they are for training."""
    from graftlm.planning.memory import estimate
    from graftlm.planning.plugin_options import plugin_options

    facts = model.facts
    if facts is None or facts.shape is None:
        return
    for label, name, dtype in PRECISIONS:
        if name in registry.names("quantization"):
            quantization = registry.get(Quantization, name)
            options = plugin_options((quantization,), {}).get("quantization", {})
            memory = estimate(
                facts,
                load=_load(model, facts, dtype, quantization, options),
                bits=quantization.bits,
                trained=0,
                keeps="adapter",
                samples=SAMPLES,
                tokens=TOKENS,
                checkpointing=False,
                device=DEVICE,
                available=sys.maxsize,
            )
            yield label, memory.weights


def _load(
    model: Known, facts: FamilyFacts, dtype: str, quantization: Quantization, options: dict[str, Any]
) -> LoadPlan:
    return LoadPlan(
        name=model.description.name,
        dtype=dtype,
        attention=ATTENTION,
        quantization=quantization.name,
        options=options,
        linear_classes=facts.linear_classes if quantization.exact_linear else (),
    )


def _problems(
    model: Known,
    facts: FamilyFacts,
    way: Way,
    method: TuningMethod,
    quantization: Quantization,
    options: dict[str, Any],
    available: int,
) -> tuple[str, ...]:
    """What speaks against the way on any GPU of that memory; what is installed here is another matter."""
    situation = Situation(
        facts=facts,
        config=model.description.config,
        probe=Probe(
            python="", versions={}, devices=(Device(type=DEVICE, memory=available),), dtypes=("fp32", "bf16", "fp16")
        ),
        device=DEVICE,
        dtype=way.dtype,
        quantization=quantization.name,
        quantization_bits=quantization.bits,
        quantization_options=options,
        method=method.name,
        method_keeps=method.keeps,
        trust_remote_code=facts.remote_code,
    )
    reasons: Sequence[str] = (*quantization.supports(situation), *method.supports(situation))
    return tuple(reasons)


def as_data(cost: Cost) -> dict[str, Any]:
    """For ``--json``, in bytes."""
    from graftlm.contracts.serial import to_builtins

    way, memory = cost.way, cost.memory
    found: dict[str, Any] = {
        "way": way.label, "method": way.method, "quantization": way.quantization, "dtype": way.dtype,
        "problems": list(cost.problems),
    }  # fmt: skip
    if memory is not None:
        found["memory"] = {
            name: value for name, value in to_builtins(memory).items() if name not in ("available", "advice")
        }
    return found
