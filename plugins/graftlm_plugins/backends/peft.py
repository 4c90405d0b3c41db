"""The ``peft`` backend: a lean loop of our own on torch and PEFT."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from graftlm.api import Backend, Requirement, hookimpl

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from graftlm.api import Batch, Plan, TrainingContext


class PeftTrainer:
    """Each optimizer step divides the summed loss by the step's trained tokens, so that micro-batches of any size
    give the same gradient.
    """

    loss = ""

    def prepare(self, plan: Plan, scratch: Path) -> None:
        pass

    def train(self, context: TrainingContext) -> None:
        from .loop import gradient_scaler, optimize

        def loss(model: Any, batch: Batch, trained: int) -> torch.Tensor:
            return context.loss(model, batch) / trained

        optimize(context, context.load(), loss, gradient_scaler(context))


@hookimpl
def graftlm_backends() -> Iterable[Backend]:
    yield Backend(
        name="peft",
        summary="a lean loop on torch and PEFT",
        target="graftlm_plugins.backends.peft:PeftTrainer",
        packs=True,
        losses=True,
        follows=(
            "tokens_per_step",
            "optimizer",
            "loraplus_ratio",
            "label_smoothing",
            "neftune_alpha",
            "early_stopping",
            "keep",
            "checkpoint_every",
            "checkpoint_minutes",
        ),
        resumes=True,
        plain=False,
        requires=(
            Requirement(distribution="torch", minimum="2.11", below="2.14", extra="peft"),
            Requirement(distribution="transformers", minimum="5.17", below="5.24", extra="peft"),
            Requirement(distribution="peft", minimum="0.21", below="0.22", extra="peft"),
        ),
    )
