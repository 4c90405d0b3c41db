"""What a run will take of the device's memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from graftlm.contracts.load import LoadPlan
from graftlm.contracts.model import FamilyFacts, ModelDescription
from graftlm.contracts.plan import MemoryPlan, MethodPlan, TrainingPlan

from .memory import estimate
from .selection import Selection


def memory_plan(
    training: TrainingPlan,
    *,
    facts: FamilyFacts,
    load: LoadPlan,
    chosen: Selection,
    method: MethodPlan,
    longest: Sequence[int],
    rows: int,
    most: int,
    description: ModelDescription,
    available: int,
    device: str,
) -> MemoryPlan | None:
    """None where the family says nothing of the shape, or the method does not count what it trains. ``longest`` are the
    tokens of the longest of ``rows`` samples, the longest first; a step has at most ``most`` of these;
    ``available`` is in bytes.
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
        tokens=longest[0],
        checkpointing=training.gradient_checkpointing,
        device=device,
        available=available,
        targets=method.target_modules,
        accumulates=most > training.micro_batch,
        stored=stored_dtype(description.config),
        longest=_in_a_step(longest, rows, training.steps, most) if training.packing else (),
        logits=next((a.logits[device] for a in chosen.accelerators if device in a.logits), 0),
        state_bytes=chosen.optimizer.state_bytes,
    )


def _in_a_step(longest: Sequence[int], rows: int, steps: int, most: int) -> list[int]:
    """Each as often as it may be in one step, which can begin in one pass over the data and end in another. Of the
    rows some may be left out.
    """
    times = 1 if 2 * steps * most <= rows else 1 + math.ceil(most / rows)
    return [length for length in longest for _ in range(times)]


def stored_dtype(config: Mapping[str, Any]) -> str:
    """The precision that the weights' files have, as far as the configuration says."""
    said = str(config.get("dtype") or config.get("torch_dtype") or "float32").removeprefix("torch.")
    return {"bfloat16": "bf16", "float16": "fp16"}.get(said, "fp32")
