"""A plan as the YAML file that ``llamafactory-cli train`` takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graftlm.api import Plan

ATTENTION = {"sdpa": "sdpa", "eager": "disabled", "flash_attention_2": "fa2"}
"""Its names for transformers' implementations."""
SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
QUANTIZED: dict[str, dict[str, Any]] = {
    "nf4": {"quantization_bit": 4, "quantization_type": "nf4"},
    "fp4": {"quantization_bit": 4, "quantization_type": "fp4"},
    "int8": {"quantization_bit": 8},
}


def arguments(plan: Plan, model: Path, rows: Path, out: Path, packed: int = 0) -> dict[str, Any]:
    """The keys of the file. ``rows`` is the data set in the order of training, ``out`` a folder for its logs.
    ``packed`` is the number of packed rows a step, which go through the model one by one; 0 where nothing is packed.

    ``template`` and ``dataset`` must be there, and are not looked at where the rows are ready-made.
    """
    training, method, load = plan.training, plan.method, plan.load
    options = method.options
    return {
        "model_name_or_path": str(model),
        "trust_remote_code": load.trust_remote_code,
        "flash_attn": ATTENTION[load.attention],
        **_quantization(plan),
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_rank": method.rank,
        "lora_alpha": _whole(method.alpha),
        "lora_dropout": method.dropout,
        "lora_target": ",".join(method.target_modules),
        "use_rslora": bool(options.get("use_rslora")),
        "use_dora": bool(options.get("use_dora")),
        "template": "empty",
        "dataset": "graftlm",
        "tokenized_path": str(rows),
        "cutoff_len": plan.encoding.max_length,
        "disable_shuffling": True,
        "max_steps": training.steps,
        "per_device_train_batch_size": 1 if packed else training.micro_batch,
        "gradient_accumulation_steps": packed or training.batch_size // training.micro_batch,
        **({"packing": True, "neat_packing": True} if packed else {}),
        "learning_rate": training.learning_rate,
        "lr_scheduler_type": SCHEDULES[training.schedule],
        "warmup_steps": training.warmup_steps,
        "optim": "adamw_torch_fused",
        "weight_decay": training.weight_decay,
        "max_grad_norm": training.max_grad_norm,
        "bf16": load.dtype == "bf16",
        "fp16": load.dtype == "fp16",
        "use_cpu": plan.device == "cpu",
        "disable_gradient_checkpointing": not training.gradient_checkpointing,
        "use_reentrant_gc": False,
        "seed": training.seed,
        "output_dir": str(out),
        "save_strategy": "no",
        "eval_strategy": "no",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # a loss that is not finite stops the run, and is not replaced by the last
        "report_to": "none",
        "disable_tqdm": True,
    }


def _quantization(plan: Plan) -> dict[str, Any]:
    if plan.load.quantization == "none":
        return {}
    return {
        **QUANTIZED[plan.load.quantization],
        "quantization_method": "bnb",
        "double_quantization": bool(plan.load.options.get("double_quant")),
    }


def _whole(number: float | None) -> float | int | None:
    """Its alpha is a whole number by name, though it takes any."""
    return int(number) if number is not None and number.is_integer() else number
