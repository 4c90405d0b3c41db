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

    loss = "cross-entropy over the trained positions"

    def prepare(self, plan: Plan, scratch: Path) -> None:
        pass

    def train(self, context: TrainingContext) -> None:
        from .loop import gradient_scaler, optimize

        optimize(context, context.load(), _loss, gradient_scaler(context))


def _loss(model: Any, batch: Batch, trained: int) -> torch.Tensor:
    import torch

    labels = batch.labels.to(model.device)[:, 1:]
    logits = model(**batch.inputs(str(model.device))).logits[:, :-1]
    asked = labels != -100
    return torch.nn.functional.cross_entropy(logits[asked].float(), labels[asked], reduction="sum") / trained


@hookimpl
def graftlm_backends() -> Iterable[Backend]:
    yield Backend(
        name="peft",
        summary="a lean loop on torch and PEFT",
        target="graftlm_plugins.backends.peft:PeftTrainer",
        packs=True,
        requires=(
            Requirement(distribution="torch", minimum="2.11", below="2.14", extra="peft"),
            Requirement(distribution="transformers", minimum="5.17", below="5.24", extra="peft"),
            Requirement(distribution="peft", minimum="0.21", below="0.22", extra="peft"),
        ),
    )
