"""What a run will take of the device's memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graftlm.contracts.load import LoadPlan
from graftlm.contracts.model import FamilyFacts, ModelDescription
from graftlm.contracts.plan import MemoryPlan, MethodPlan, TrainingPlan

from .memory import estimate
from .selection import Selection


def memory_plan(
    facts: FamilyFacts,
    load: LoadPlan,
    chosen: Selection,
    method: MethodPlan,
    training: TrainingPlan,
    longest: int,
    description: ModelDescription,
    available: int,
    device: str,
) -> MemoryPlan | None:
    """None where the family says nothing of the shape, or the method does not count what it trains. ``longest`` is in
    tokens, ``available`` in bytes.
    """
    if facts.shape is None or chosen.method.trained is None:
        return None
    return estimate(
        facts,
        load=load,
        bits=chosen.quantization.bits,
        trained=chosen.method.trained(facts.shape, method),
        keeps=method.keeps,
        samples=training.micro_batch,
        tokens=longest,
        checkpointing=training.gradient_checkpointing,
        device=device,
        available=available,
        targets=method.target_modules,
        accumulates=training.batch_size > training.micro_batch,
        stored=stored_dtype(description.config),
        state_bytes=chosen.optimizer.state_bytes,
    )


def stored_dtype(config: Mapping[str, Any]) -> str:
    """The precision that the weights' files have, as far as the configuration says."""
    said = str(config.get("dtype") or config.get("torch_dtype") or "float32").removeprefix("torch.")
    return {"bfloat16": "bf16", "float16": "fp16"}.get(said, "fp32")
