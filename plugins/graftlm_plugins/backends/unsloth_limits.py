"""What Unsloth takes, what it does not, and what it does in silence: said in the plan.

All of it was read in the source of the release that the environment pins, and seen where a CPU can show it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftlm.api import read_config

if TYPE_CHECKING:
    from graftlm.api import Plan, Situation

FAST = ("llama", "mistral", "qwen2", "qwen3")
"""Model types with forwards and LoRA kernels of Unsloth's own; parts of all others are compiled."""
CHUNKED = ("llama", "mistral", "qwen2", "qwen3")
"""Those whose loss is computed in chunks on a CPU."""
DEVICES = ("cpu", "cuda")
ATTENTION = ("sdpa", "eager")
METHODS = ("lora", "rslora", "dora")
TAKEN = (
    "use_rslora", "use_dora", "init_lora_weights", "rank_pattern", "alpha_pattern", "layers_to_transform",
    "layers_pattern", "exclude_modules",
)  # fmt: skip
"""Options of LoRA that are handed on."""
STARTS = ("true", "false", "gaussian", "orthogonal")
"""Starts that are drawn: what is drawn is read from the run's own files anyway."""


def supports(situation: Situation) -> Sequence[str]:
    """Reasons against it, from facts."""
    found = [*_device(situation), *_quantization(situation), *_method(situation)]
    if situation.trust_remote_code or situation.facts.remote_code:
        found.append("it patches transformers' own classes, and this model brings its own code: use --backend peft")
    shape = situation.facts.shape
    if shape is not None and shape.experts and situation.device == "cuda":
        found.append(
            "on a GPU it computes fused experts with kernels of its own, and nobody has compared them here: use "
            "--backend peft"
        )
    return found


def notes(situation: Situation) -> Sequence[str]:
    """What Unsloth does here, where it is not what its name promises."""
    kind = str(situation.config.get("model_type", ""))
    if situation.device == "cpu":
        loss = "its loss in chunks" if kind in CHUNKED else "transformers' loss"
        return (f"Unsloth's kernels are for GPUs: on a CPU it runs transformers' {kind} and PEFT, with {loss}",)
    if situation.device != "cuda":
        return ()
    found = []
    if kind not in FAST:
        found.append(
            f"Unsloth has no forward of its own for {kind}: it compiles parts of transformers' and has a kernel for "
            f"the loss (it has its own for {', '.join(FAST)})"
        )
    elif situation.dtype == "fp32":
        found.append("Unsloth's fused LoRA kernels want 16-bit weights: in fp32, PEFT's own layers run instead")
    elif situation.method_options.get("use_dora"):
        found.append("Unsloth's fused LoRA kernels know no DoRA: PEFT's own layers run instead")
    return found


def check(plan: Plan) -> Sequence[str]:
    """Reasons that only the whole plan tells."""
    load, method, cuda = plan.load, plan.method, plan.device == "cuda"
    found = []
    if load.rope is not None:
        found.append(f"Unsloth builds its rotary embeddings itself, and RoPE {load.rope} would not be the plan's")
    found += _lengths(plan) if cuda else []
    patched = [part.name for part in plan.all_parts("accelerator") if part.name not in ATTENTION]
    if patched or load.attention not in ATTENTION:
        found.append(f"Unsloth chooses its kernels itself: leave out --accelerator {(patched or [load.attention])[0]}")
    elif load.attention != "sdpa" and cuda and plan.model.model_type in FAST:
        found.append(
            f"Unsloth's own {plan.model.model_type} computes sdpa attention, whatever it is asked: leave eager out"
        )
    if whole := [name for name in method.target_modules if name in ("embed_tokens", "lm_head")]:
        found.append(
            f"Unsloth would train {' and '.join(whole)} whole instead of adapting it: leave it out of --target-modules"
        )
    return found


def _lengths(plan: Plan) -> Sequence[str]:
    """Of the samples: on a GPU, longer ones than the model's positions or its window are computed another way."""
    found, longest = [], plan.encoding.max_length
    positions = plan.model.facts.shape.context if plan.model.facts.shape else 0
    if positions and longest > positions:
        found.append(
            f"for samples of {longest:,} tokens Unsloth would stretch RoPE beyond the model's "
            f"{positions:,} positions in silence: give --max-length {positions} or less"
        )
    window = _window(plan) if plan.model.model_type in FAST else 0
    if window and longest > window:
        found.append(
            f"Unsloth's own {plan.model.model_type} forgets the sliding window of {window:,} tokens in training: "
            f"give --max-length {window} or less"
        )
    return found


def _window(plan: Plan) -> int:
    """Of a model whose attention Unsloth computes without one; 0 where there is none."""
    config = read_config(Path(plan.model.folder))
    if plan.model.model_type == "mistral" or not config.get("use_sliding_window"):
        return 0
    return int(config.get("sliding_window") or 0)


def _device(situation: Situation) -> Sequence[str]:
    if situation.device not in DEVICES:
        return (f"it runs on {' and '.join(DEVICES)} here, not on {situation.device}: use --backend peft",)
    if situation.device == "cpu" and situation.dtype == "fp16":
        return ("on a CPU it takes bf16 or fp32 instead of fp16 in silence: say --dtype bf16 or fp32",)
    return ()


def _quantization(situation: Situation) -> Sequence[str]:
    name, options = situation.quantization, situation.quantization_options
    if not situation.quantization_bits:
        return ()
    if situation.device == "cpu":
        return (
            "on a CPU it falls back from 4 and 8 bits to 16 without asking: use --backend peft, or --quantization none",
        )
    if name != "nf4":
        return (f"it quantizes to nf4 with kernels of its own, and has none for {name}: use --quantization nf4",)
    found = []
    if not options.get("double_quant", True):
        found.append("it always quantizes the scales too: leave quantization.double_quant=false out")
    if options.get("compute_dtype", "auto") not in ("auto", situation.dtype):
        found.append("it always multiplies in the run's precision: leave out quantization.compute_dtype")
    if situation.facts.linear_classes:
        kinds = ", ".join(each.rpartition(":")[2] for each in situation.facts.linear_classes)
        found.append(f"it leaves {kinds} in 16 bits and says nothing: use --backend peft for nf4 on this model")
    return found


def _method(situation: Situation) -> Sequence[str]:
    options = situation.method_options
    start = str(options.get("init_lora_weights", "true"))
    if situation.method not in METHODS:
        return (f"it trains {', '.join(METHODS)}, and not {situation.method}: use --backend peft",)
    if start not in STARTS:
        return (f"init_lora_weights={start} needs more of the base than a drawn start: use --backend peft",)
    return [
        f"it does not take the method's option {name}: use --backend peft, or leave it out"
        for name, value in options.items()
        if name not in TAKEN and value not in (False, "none", "", None) and not _empty(value)
    ]


def _empty(value: Any) -> bool:
    return isinstance(value, Mapping | Sequence) and not isinstance(value, str) and not value
