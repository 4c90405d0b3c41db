"""The numbers of the optimisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from graftlm.contracts.config import AUTO, SETTINGS
from graftlm.contracts.errors import UsageError
from graftlm.contracts.plan import TrainingPlan

from .settings import Settings
from .token_steps import TokenSteps, token_steps


def micro_batches(batch: int) -> list[int]:
    """Those that a batch can be made of, the largest first."""
    small = [n for n in range(1, math.isqrt(batch) + 1) if batch % n == 0]
    return sorted({*small, *(batch // n for n in small)}, reverse=True)


def training_plan(
    settings: Settings, rows: int, *, packing: bool = False, lengths: Sequence[int] = (), validated: bool = True
) -> tuple[TrainingPlan, list[int]]:
    """The plan, and the micro-batches that there may be, the largest first. ``rows`` are the training rows, and
    ``lengths`` the tokens of their samples, which are needed where steps are cut by tokens; ``validated``: there are
    validation rows. ``UsageError`` where the batch is no multiple of the micro-batch, or nothing tells which weights
    are the best.
    """
    tokens: int = settings["tokens_per_step"] or 0
    if tokens:
        cut = token_steps(lengths, tokens, settings["seed"], epochs=settings["epochs"], most=settings["max_steps"])
        batch, passes, sizes = 0, cut.samples / len(lengths), _doublings(cut.largest)
    else:
        batch = settings["batch_size"]
        cut = _by_samples(settings, rows, batch)
        passes, sizes = cut.samples / rows, micro_batches(batch)
    steps = cut.count
    plan = TrainingPlan(
        epochs=round(passes, 4),
        steps=steps,
        batch_size=batch,
        micro_batch=_micro_batch(settings, batch, sizes),
        learning_rate=settings["learning_rate"],
        schedule=settings["schedule"],
        warmup_steps=min(math.ceil(steps * settings["warmup"]), steps - 1),  # a first rate of 0 teaches nothing
        weight_decay=settings["weight_decay"],
        max_grad_norm=settings["max_grad_norm"],
        seed=settings["seed"],
        eval_every=settings["eval_every"] or max(1, steps // 10),
        gradient_checkpointing=settings["gradient_checkpointing"],
        packing=packing,
        tokens_per_step=tokens,
        loraplus_ratio=settings["loraplus_ratio"],
        label_smoothing=settings["label_smoothing"],
        neftune_alpha=settings["neftune_alpha"],
        early_stopping=settings["early_stopping"] or 0,
        keep=_keep(settings, validated),
        deterministic=settings["deterministic"],
    )
    return plan, sizes


def _doublings(most: int) -> list[int]:
    """A step of any number of samples may end with a smaller micro-batch."""
    return [most, *(1 << i for i in reversed(range(most.bit_length())) if 1 << i < most)]


def _by_samples(settings: Settings, rows: int, batch: int) -> TokenSteps:
    steps = settings["max_steps"] or math.ceil(rows * settings["epochs"] / batch)
    return TokenSteps(steps, steps * batch, batch)


def _micro_batch(settings: Settings, batch: int, sizes: Sequence[int]) -> int:
    """What was asked for, else the usual one, or the next smaller one of which a batch is made whole."""
    said = settings["micro_batch"]
    if said == AUTO or not settings.asked("micro_batch"):
        usual: int = SETTINGS["micro_batch"]["default"] if said == AUTO else said
        return next(n for n in sizes if n <= usual) if batch else min(usual, sizes[0])
    micro: int = said
    if batch and batch % micro:
        raise UsageError(f"--batch-size {batch} is not a multiple of --micro-batch {micro}")
    return micro if batch else min(micro, sizes[0])


def _keep(settings: Settings, validated: bool) -> Literal["best", "last"]:
    """What is asked; with early stopping, the best by itself."""
    stops = settings["early_stopping"] is not None
    for asked, said in ((stops, "--early-stopping"), (settings["keep"] == "best", "--keep best")):
        if asked and not validated:
            raise UsageError(f"{said} goes by the validation loss, and there are no validation rows: give --val-data")
    kept: Literal["best", "last"] = settings["keep"] or ("best" if stops else "last")
    return kept
