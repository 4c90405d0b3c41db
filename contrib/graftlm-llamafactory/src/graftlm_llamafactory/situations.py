"""What the backend refuses before anything is loaded, and why; and what is worth knowing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .arguments import ATTENTION, SCHEDULES

if TYPE_CHECKING:
    from graftlm.api import Plan, Situation

METHODS = ("lora", "rslora", "dora")
PASSED = ("use_rslora", "use_dora")
"""LoRA's options that LLaMA-Factory has too."""
STARTS = ("true", "false", "gaussian", "orthogonal")
"""Initial weights that leave the base's alone: they are drawn beforehand, and put in."""
WITHOUT = {"bias": "none", "init_lora_weights": "true"}
"""Values that mean "not used", where those are not empty."""
PARTS = ("text_config", "vision_config", "audio_config")
QUANTIZATIONS = ("nf4", "fp4", "int8")
OTHER = "choose --backend peft"


def supports(situation: Situation) -> Sequence[str]:
    """Reasons against, each with what to do."""
    return (
        *_method(situation), *_device(situation), *_model(situation), *_quantization(situation), *_attention(situation)
    )  # fmt: skip


def _method(situation: Situation) -> Iterable[str]:
    if situation.method not in METHODS:
        yield f"trains {', '.join(METHODS)} and no {situation.method} here: {OTHER}"
        return
    options = situation.method_options
    start = str(options.get("init_lora_weights", "true")).lower()
    if start not in STARTS:
        yield f"cannot start from init_lora_weights={start}: choose one of {', '.join(STARTS)}, or {OTHER}"
    for name in _used(options):
        yield f"has no {name}: leave it out, or {OTHER}"


def _used(options: Mapping[str, Any]) -> Iterable[str]:
    known = (*PASSED, "init_lora_weights")
    return (name for name, value in options.items() if name not in known and value and value != WITHOUT.get(name))


def _device(situation: Situation) -> Iterable[str]:
    if situation.device not in ("cpu", "cuda"):
        yield f"was not tried on {situation.device}: choose --device cpu or cuda, or {OTHER}"
    elif situation.device == "cpu" and "mps" in situation.probe.device_types:
        yield f"takes a Mac's GPU where there is one, whatever it is told: {OTHER}"
    if situation.device == "cpu" and situation.dtype == "fp16":
        yield "computes fp16 on a CPU without scaling gradients: choose --dtype bf16 or fp32"


def _model(situation: Situation) -> Iterable[str]:
    if any(isinstance(situation.config.get(part), Mapping) for part in PARTS):
        yield f"loads a model of several parts whole, and graftlm the part that reads text: {OTHER}"


def _quantization(situation: Situation) -> Iterable[str]:
    if situation.quantization == "none":
        return
    if situation.quantization not in QUANTIZATIONS:
        yield f"has no {situation.quantization}: choose one of {', '.join(QUANTIZATIONS)}, or {OTHER}"
    elif situation.device != "cuda":
        yield f"quantizes on a GPU alone: choose --quantization none, or {OTHER}"
    elif situation.facts.linear_classes:
        yield f"leaves linear layers unquantized that are of a class of the model's own: {OTHER}"
    elif situation.quantization_options.get("compute_dtype", "auto") not in ("auto", situation.dtype):
        yield "multiplies in the precision of the run: leave out quantization.compute_dtype"


def _attention(situation: Situation) -> Iterable[str]:
    if situation.attention not in ATTENTION:
        yield f"has no {situation.attention} attention here: choose --accelerator sdpa or eager, or {OTHER}"


def check(plan: Plan) -> Sequence[str]:
    """Reasons against the whole of a plan."""
    asked, found = plan.training.schedule, []
    if asked not in SCHEDULES:
        found.append(f"has no --schedule {asked} here: choose one of {', '.join(SCHEDULES)}, or {OTHER}")
    if not plan.options.get("backend", {}).get("neat_packing"):
        return tuple(found)
    if plan.training.packing:
        found.append("packs itself with backend.neat_packing: leave that out, or the accelerator that packs")
    if plan.attention not in plan.model.facts.packing:
        found.append(
            f"LLaMA-Factory's packing would let the samples of a row see each other here with {plan.attention} "
            "attention: leave backend.neat_packing out"
        )
    return tuple(found)


def notes(situation: Situation) -> Sequence[str]:
    """What stops nothing."""
    found = []
    if situation.backend_options.get("neat_packing"):
        found.append(
            "LLaMA-Factory packs the rows itself: order and batches are its own, one packed row at a time and as many "
            "to a step as come nearest to the plan's tokens; memory is reckoned for the plan's batches"
        )
    if situation.quantization != "none":
        found.append("LLaMA-Factory's quantization was not tried by graftlm on a GPU yet; its layers are counted")
    return tuple(found)
