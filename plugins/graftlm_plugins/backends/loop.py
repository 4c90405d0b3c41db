"""A lean training loop on torch: one optimizer step for each step of the plan, and nothing beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from graftlm.api import Batch, TrainingContext

    Loss = Callable[[Any, Batch, int], torch.Tensor]
    """Of a model, a micro-batch and the step's trained tokens: the micro-batch's part of the step's mean loss, nats."""


def gradient_scaler(context: TrainingContext) -> torch.amp.GradScaler:
    """It scales in fp16, and does nothing in other precisions."""
    import torch

    return torch.amp.GradScaler(context.device, enabled=context.plan.dtype == "fp16")


def optimize(context: TrainingContext, model: Any, loss: Loss, scaler: torch.amp.GradScaler) -> None:
    """The plan's optimizer over the parameters that want gradients, clipped by their norm. In bf16 and fp16
    the losses are computed under autocast, on a CPU too.
    """
    import torch

    training = context.plan.training
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = context.optimizer(model)
    context.resumable("scaler", scaler)
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(context.plan.dtype)
    model.train()
    context.start()
    for step in context.steps():
        context.set_learning_rate(optimizer, step.index)
        total = torch.zeros((), device=context.device)
        for batch in step.batches:
            context.checkpoint()
            with torch.autocast(context.device, half, enabled=half is not None):
                part = loss(model, batch, step.trained)
            scaler.scale(part).backward()  # type: ignore[no-untyped-call]
            total += part.detach()
        scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(parameters, training.max_grad_norm)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        context.stepped(
            step=step.index,
            loss=float(total),
            tokens=sum(batch.tokens for batch in step.batches),
            gradient_norm=float(norm),
            model=model,
        )
