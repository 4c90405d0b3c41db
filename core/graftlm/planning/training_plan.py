"""The numbers of the optimisation."""

from __future__ import annotations

import math

from graftlm.contracts.config import AUTO, SETTINGS
from graftlm.contracts.errors import UsageError
from graftlm.contracts.plan import TrainingPlan

from .settings import Settings


def micro_batches(batch: int) -> list[int]:
    """Those that a batch can be made of, the largest first."""
    small = [n for n in range(1, math.isqrt(batch) + 1) if batch % n == 0]
    return sorted({*small, *(batch // n for n in small)}, reverse=True)


def training_plan(settings: Settings, rows: int, *, packing: bool = False) -> TrainingPlan:
    """``rows`` are the training rows. ``UsageError`` where the batch is no multiple of the micro-batch."""
    batch: int = settings["batch_size"]
    said = settings["micro_batch"]
    micro: int = SETTINGS["micro_batch"]["default"] if said == AUTO else said
    if said == AUTO or not settings.asked("micro_batch"):
        micro = next(n for n in micro_batches(batch) if n <= micro)
    if batch % micro:
        raise UsageError(f"--batch-size {batch} is not a multiple of --micro-batch {micro}")
    steps = settings["max_steps"] or math.ceil(rows * settings["epochs"] / batch)
    return TrainingPlan(
        epochs=round(steps * batch / rows, 4),
        steps=steps,
        batch_size=batch,
        micro_batch=micro,
        learning_rate=settings["learning_rate"],
        schedule=settings["schedule"],
        warmup_steps=min(math.ceil(steps * settings["warmup"]), steps - 1),  # a first rate of 0 teaches nothing
        weight_decay=settings["weight_decay"],
        max_grad_norm=settings["max_grad_norm"],
        seed=settings["seed"],
        eval_every=settings["eval_every"] or max(1, steps // 10),
        gradient_checkpointing=settings["gradient_checkpointing"],
        packing=packing,
    )
