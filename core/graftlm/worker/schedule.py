"""The learning rate of an optimizer step, the same for every backend."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from graftlm.contracts.plan import TrainingPlan

FLOOR = 0.1
"""Where ``cosine-with-min`` ends, as a share of the peak."""
DECAY = 0.2
"""The share of the steps over which ``wsd`` decays."""
TIMESCALE = 10_000
"""Of ``inverse-sqrt`` without a warm-up."""


def learning_rate(step: int, training: TrainingPlan) -> float:
    """Linear warm-up from 0, then the schedule (transformers' formulas; ``step`` counts from 0)."""
    if step < training.warmup_steps:
        return training.learning_rate * step / training.warmup_steps
    return training.learning_rate * SHARES[training.schedule](step, training)


def _done(step: int, training: TrainingPlan) -> float:
    """The share of the steps after the warm-up that lie behind."""
    return min(1.0, (step - training.warmup_steps) / max(1, training.steps - training.warmup_steps))


def _cosine(step: int, training: TrainingPlan) -> float:
    return 0.5 * (1 + math.cos(math.pi * _done(step, training)))


def _cosine_with_min(step: int, training: TrainingPlan) -> float:
    return FLOOR + (1 - FLOOR) * _cosine(step, training)


def _linear(step: int, training: TrainingPlan) -> float:
    return 1 - _done(step, training)


def _polynomial(step: int, training: TrainingPlan) -> float:
    """Of power 2: of power 1 it would be linear."""
    return _linear(step, training) ** 2


def _inverse_sqrt(step: int, training: TrainingPlan) -> float:
    scale = training.warmup_steps or TIMESCALE
    return math.sqrt(scale / (step - training.warmup_steps + scale))


def _wsd(step: int, training: TrainingPlan) -> float:
    """Stable, then linear down to 0 over the last steps."""
    decay = min(math.ceil(DECAY * training.steps), training.steps - training.warmup_steps)
    return min(1.0, max(0.0, (training.steps - step) / max(1, decay)))


SHARES: Mapping[str, Callable[[int, TrainingPlan], float]] = {
    "cosine": _cosine,
    "linear": _linear,
    "constant": lambda step, training: 1.0,
    "inverse-sqrt": _inverse_sqrt,
    "polynomial": _polynomial,
    "cosine-with-min": _cosine_with_min,
    "wsd": _wsd,
}
"""The share of the peak, by the schedule's name."""
