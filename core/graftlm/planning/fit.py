"""What a run will take of the device's memory."""

from __future__ import annotations

from graftlm.contracts.load import LoadPlan
from graftlm.contracts.model import FamilyFacts
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
    )
