"""The numbers of the optimisation."""

from __future__ import annotations

import math

from graftlm.contracts.errors import UsageError
from graftlm.contracts.plan import TrainingPlan

from .settings import Settings


def training_plan(settings: Settings, rows: int, *, packing: bool = False) -> TrainingPlan:
    """``rows`` are the training rows. ``UsageError`` where the batch is no multiple of the micro-batch."""
    batch: int = settings["batch_size"]
    micro: int = settings["micro_batch"]
    if not settings.asked("micro_batch"):
        micro = max(n for n in range(1, min(micro, batch) + 1) if batch % n == 0)
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
        loraplus_ratio=settings["loraplus_ratio"],
    )
