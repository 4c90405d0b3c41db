"""The numbers of the optimisation."""

from __future__ import annotations

import math
from typing import Literal

from graftlm.contracts.errors import UsageError
from graftlm.contracts.plan import TrainingPlan

from .settings import Settings


def training_plan(settings: Settings, rows: int, *, packing: bool = False, validated: bool = True) -> TrainingPlan:
    """``rows`` are the training rows; ``validated``: there are validation rows. ``UsageError`` where the batch is no
    multiple of the micro-batch, or nothing tells which weights are the best.
    """
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
        label_smoothing=settings["label_smoothing"],
        neftune_alpha=settings["neftune_alpha"],
        early_stopping=settings["early_stopping"] or 0,
        keep=_keep(settings, validated),
    )


def _keep(settings: Settings, validated: bool) -> Literal["best", "last"]:
    """What is asked; with early stopping, the best by itself."""
    stops = settings["early_stopping"] is not None
    for asked, said in ((stops, "--early-stopping"), (settings["keep"] == "best", "--keep best")):
        if asked and not validated:
            raise UsageError(f"{said} goes by the validation loss, and there are no validation rows: give --val-data")
    kept: Literal["best", "last"] = settings["keep"] or ("best" if stops else "last")
    return kept
