"""What a user should know of a plan, and what stops nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator

from graftlm.contracts.config import AUTO
from graftlm.contracts.load import LoadPlan
from graftlm.contracts.model import FamilyFacts, ModelShape
from graftlm.contracts.plan import DataPlan, MemoryPlan, MethodPlan, TrainingPlan
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.specs import PromptTemplate
from graftlm.data.replay import wanted

from .selection import Selection
from .settings import Settings

LORA_RANK = 16


def notes(
    settings: Settings,
    data: DataPlan,
    facts: FamilyFacts,
    load: LoadPlan,
    chosen: Selection,
    method: MethodPlan,
    memory: MemoryPlan | None,
    parent: AdapterRecord | None,
    template: PromptTemplate,
    training: TrainingPlan,
) -> Iterator[str]:
    """Each a sentence."""
    validations = math.ceil(training.steps / training.eval_every)
    if training.early_stopping >= validations:
        yield (
            f"--early-stopping {training.early_stopping} cannot end this run: it has {validations} validations, one "
            f"every {training.eval_every} steps (--eval-every)"
        )
    if data.replayed:
        yield from _less_replayed(settings, data)
    if method.keeps == "overlay" and facts.shape is not None:
        yield _whole_weights(facts, facts.shape, method, chosen)
    if method.target_modules and settings["target_modules"] in (AUTO, "all-linear") and facts.untargeted:
        yield f"{', '.join(facts.untargeted)} are not adapted: {facts.untargeted_reason}"
    if load.rope is not None and load.rope.kind == "dynamic":
        yield (
            f"dynamic RoPE changes nothing up to {load.rope.original:,} positions; beyond, a text's frequencies follow "
            "the longest text of its batch, so that batches of another size give other losses"
        )
    if parent is not None and parent.template != template.name:
        yield f"{parent.reference} was trained with template {parent.template}, and this run takes {template.name}"
    if parent is not None and (parent.load.quantization, parent.load.dtype) != (load.quantization, load.dtype):
        was, now = (f"{each.quantization} weights in {each.dtype}" for each in (parent.load, load))
        yield f"{parent.reference} was trained on {was}, and this run takes {now}"
    if chosen.left_out:
        reasons: dict[str, list[str]] = {}
        for name, reason in chosen.left_out.items():
            reasons.setdefault(reason, []).append(name)
        left = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in reasons.items())
        yield f"accelerator auto leaves out {left}"
    if memory is not None and not memory.fits:
        yield "; ".join(["it does not fit into memory", *memory.advice])


def _less_replayed(settings: Settings, data: DataPlan) -> Iterator[str]:
    """Where there were not enough rows to replay."""
    trained = sum(split.rows for split in data.splits if split.name == "train")
    if data.replayed < wanted(trained - data.replayed, settings["replay_ratio"]):
        yield (
            f"{settings['replay']} has only {data.replayed:,} rows: they are {data.replayed / trained:.1%} of the "
            f"training rows, and --replay-ratio {settings['replay_ratio']:g} asks for {settings['replay_ratio']:.1%}"
        )


def _whole_weights(facts: FamilyFacts, shape: ModelShape, method: MethodPlan, chosen: Selection) -> str:
    able = facts.attention + facts.mlp
    count = chosen.method.trained(shape, method) if chosen.method.trained else shape.parameters
    lora = sum(
        LORA_RANK * (linear.inputs + linear.outputs) * linear.count for linear in shape.linear if linear.name in able
    )
    each = 8 + chosen.optimizer.state_bytes
    return (
        f"{method.name} trains {count:,} weights themselves, {each:.3g} bytes each with gradients and optimizer, where "
        f"LoRA of rank {LORA_RANK} trains {lora:,}; it forgets more, and each version keeps what it changed whole: "
        "lora is recommended"
    )
