"""The learning rate of an optimizer step, the same for every backend."""

from __future__ import annotations

import math

from graftlm.contracts.plan import TrainingPlan


def learning_rate(step: int, training: TrainingPlan) -> float:
    """Linear warm-up from 0, then the schedule down to 0 (transformers' formulas; ``step`` counts from 0)."""
    warmup, steps, peak = training.warmup_steps, training.steps, training.learning_rate
    if step < warmup:
        return peak * step / warmup
    if training.schedule == "constant":
        return peak
    done = (step - warmup) / max(1, steps - warmup)
    if training.schedule == "linear":
        return peak * max(0.0, 1 - done)
    return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
