"""The model: what is loaded, in which precision, and what is tuned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .imported import Keys
from .templates import OTHER, REASONING, REMARKS, SAME

BITSANDBYTES = ("bnb", "bitsandbytes")
ROPE = ("linear", "dynamic", "yarn")


def read_model(keys: Keys) -> None:
    """Which model, in whose words, how precise, and how long its texts may be."""
    if "model_name_or_path" in keys:
        keys.set("model", keys.text("model_name_or_path"), "model_name_or_path")
    if "model_revision" in keys:
        keys.set("revision", keys.text("model_revision"), "model_revision")
    if "trust_remote_code" in keys:
        keys.set("trust-remote-code", keys.true("trust_remote_code"), "trust_remote_code")
    _template(keys)
    _precision(keys)
    _quantization(keys)
    _attention(keys)
    keys.set("max-length", int(keys.number("cutoff_len", 2048, whole=True, least=8)), "cutoff_len")
    keys.result.settings["overlong"] = "truncate-right"
    keys.result.remarks.append(
        "overlong truncate-right: a longer row is cut at its end, where LLaMA-Factory cuts question and answer alike"
    )
    _rope(keys)
    off = keys.true("disable_gradient_checkpointing")
    keys.set("gradient-checkpointing", not off, "disable_gradient_checkpointing")
    if "gradient_checkpointing" in keys:
        if keys.true("gradient_checkpointing", True) and not off:
            keys.take("gradient_checkpointing", "gradient-checkpointing")
        else:
            keys.leave("gradient_checkpointing", "LLaMA-Factory goes by disable_gradient_checkpointing instead")


def _template(keys: Keys) -> None:
    name = keys.text("template")
    if not name:
        keys.result.settings["template"] = "auto"
        return
    ours = SAME.get(name)
    if ours is None:
        keys.result.settings["template"] = "auto"
        keys.leave("template", OTHER.get(name, f"graftlm has no {name}; it takes the template that fits the model"))
    else:
        keys.set("template", ours, "template")
        if name in REMARKS:
            keys.result.remarks.append(f"template {ours}: {REMARKS[name]}")
    if "enable_thinking" in keys:
        if name in REASONING:
            keys.set("thinking", "on" if keys.true("enable_thinking", True) else "off", "enable_thinking")
        else:
            keys.leave("enable_thinking", "the template asks for no thoughts")


def _precision(keys: Keys) -> None:
    half, short = keys.true("bf16"), keys.true("fp16")
    if keys.true("pure_bf16"):
        keys.leave("pure_bf16", "graftlm trains the adapter's own weights in fp32; dtype bf16 is the nearest")
        half = True
    keys.set("dtype", "bf16" if half else "fp16" if short else "fp32", "bf16", "fp16")
    if half and short:
        keys.leave("fp16", "bf16 is asked for too, and is taken")


def _quantization(keys: Keys) -> None:
    if "quantization_bit" not in keys:
        for key in ("quantization_method", "quantization_type", "double_quantization"):
            keys.leave(key, "nothing is quantized without quantization_bit")
        return
    bits, by, kind = keys.get("quantization_bit"), keys.text("quantization_method", "bnb"), "nf4"
    if by not in BITSANDBYTES or str(bits) not in ("4", "8"):
        why = f"graftlm has no {bits} bits by {by}: choose quantization nf4, fp4, int8 or torchao-int8"
        for key in ("quantization_bit", "quantization_method", "quantization_type", "double_quantization"):
            keys.leave(key, why)
        return
    if str(bits) == "4":
        kind = keys.text("quantization_type", "nf4")
        if kind not in ("nf4", "fp4"):
            keys.leave("quantization_type", f"graftlm has no {kind}: nf4 is taken")
            kind = "nf4"
        keys.set("quantization", kind, "quantization_bit", "quantization_method", "quantization_type")
        keys.result.option("quantization", "double_quant", keys.true("double_quantization", True))
        keys.take("double_quantization", "options: quantization: double_quant")
    else:
        keys.set("quantization", "int8", "quantization_bit", "quantization_method")
        for key in ("quantization_type", "double_quantization"):
            keys.leave(key, "it is for 4 bits, and 8 are asked for")


def _attention(keys: Keys) -> None:
    asked = keys.text("flash_attn", "auto").lower()
    if asked in ("auto", "sdpa"):
        keys.set("accelerator", "sdpa", "flash_attn")
    elif asked in ("disabled", "false"):  # YAML 1.1 reads "off" as false
        keys.set("accelerator", "eager", "flash_attn")
    else:
        keys.result.settings["accelerator"] = "sdpa"
        keys.leave("flash_attn", "sdpa is taken: see 'graftlm plugins list' for accelerators that this machine has")


def _rope(keys: Keys) -> None:
    kind = keys.text("rope_scaling")
    if kind in ROPE:
        keys.set("rope", kind, "rope_scaling")
        keys.result.settings["context-length"] = keys.result.settings["max-length"]
        keys.result.remarks.append(
            "context-length: as LLaMA-Factory, graftlm scales by what cutoff_len needs; leave rope and context-length "
            "out where the model has as many positions"
        )
    elif kind:
        keys.leave("rope_scaling", f"graftlm has no {kind}: choose rope {', '.join(ROPE)}")


def read_method(keys: Keys) -> None:
    """What is trained: LoRA's settings, or which layers."""
    kind = keys.text("finetuning_type", "lora")
    readers: dict[str, Callable[[Keys], None]] = {"lora": _lora, "freeze": _freeze, "full": _full}
    if kind not in readers:
        keys.leave("finetuning_type", f"see 'graftlm plugins list' for a method like {kind}; lora is taken")
        kind = "lora"
    keys.set("method", kind, "finetuning_type")
    readers[kind](keys)
    for names, wanted in ((LORA, "lora"), (FREEZE, "freeze")):
        for key in names if kind != wanted else ():
            keys.leave(key, f"it is for finetuning_type {wanted}, and {kind} is asked for")


LORA = (
    "lora_rank", "lora_alpha", "lora_dropout", "lora_target", "use_rslora", "use_dora", "pissa_init", "pissa_iter",
    "pissa_convert", "additional_target",
)  # fmt: skip
FREEZE = ("freeze_trainable_layers", "freeze_trainable_modules", "freeze_extra_modules")


def _lora(keys: Keys) -> None:
    rank = int(keys.number("lora_rank", 8, whole=True, least=1))
    keys.set("rank", rank, "lora_rank")
    keys.set("alpha", keys.number("lora_alpha", 2 * rank, above=True), "lora_alpha")
    dropout = keys.number("lora_dropout", 0.0)
    if dropout > 0.95:
        keys.leave("lora_dropout", "graftlm takes 0.95 at most")
        dropout = 0.0
    keys.set("dropout", dropout, "lora_dropout")
    targets = ",".join(_names(keys.get("lora_target", "all")))
    keys.set("target-modules", "all-linear" if targets in ("all", "") else targets, "lora_target")
    for key in ("use_rslora", "use_dora"):
        if key in keys:
            keys.result.option("method", key, keys.true(key))
            keys.take(key, f"options: method: {key}")
    if "additional_target" in keys:
        keys.result.option("method", "modules_to_save", _names(keys.get("additional_target")))
        keys.take("additional_target", "options: method: modules_to_save")
    if keys.true("pissa_init"):
        keys.result.option("method", "init_lora_weights", "pissa")
        iterations = int(keys.number("pissa_iter", 16, whole=True, least=-1))
        keys.result.option("method", "pissa_iterations", max(0, iterations))  # -1 is the exact decomposition
    keys.take("pissa_init", "options: method: init_lora_weights")
    keys.take("pissa_iter", "options: method: pissa_iterations")
    keys.leave("pissa_convert", "graftlm always keeps a plain LoRA on the unchanged base")


def _freeze(keys: Keys) -> None:
    layers = keys.number("freeze_trainable_layers", 2, whole=True, least=1)
    modules = _names(keys.get("freeze_trainable_modules", "all"))
    if modules in (["all"], []):
        keys.result.option("method", "layers", int(layers))
        keys.take("freeze_trainable_layers", "options: method: layers")
        keys.take("freeze_trainable_modules", "options: method: layers")
    else:
        why = "graftlm freezes whole layers, or names modules in all of them: options: method: modules"
        keys.result.option("method", "layers", int(layers))
        keys.take("freeze_trainable_layers", "options: method: layers")
        keys.leave("freeze_trainable_modules", why)
    keys.leave("freeze_extra_modules", "name all modules to train in options: method: modules")


def _full(keys: Keys) -> None:
    """It has no settings."""


def _names(value: Any) -> list[str]:
    parts = value if isinstance(value, list) else str(value).split(",")
    return [name for part in parts if (name := str(part).strip())]
