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
    give the same gradient. In bf16 and fp16 it computes under autocast, fp16 with a gradient scaler, on a CPU too.
    """

    loss = "cross-entropy over the trained positions"

    def prepare(self, plan: Plan, scratch: Path) -> None:
        pass

    def train(self, context: TrainingContext) -> None:
        import torch

        training, dtype = context.plan.training, context.plan.dtype
        model = context.load()
        parameters = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(
            parameters, lr=training.learning_rate, weight_decay=training.weight_decay, fused=True
        )
        half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(dtype)
        scaler = torch.amp.GradScaler(context.device, enabled=dtype == "fp16")
        model.train()
        context.start()
        for step in context.steps():
            for group in optimizer.param_groups:
                group["lr"] = context.learning_rate(step.index)
            total = torch.zeros((), device=context.device)
            for batch in step.batches:
                context.checkpoint()
                with torch.autocast(context.device, half, enabled=half is not None):
                    loss = self._loss(model, batch, context.device) / step.trained
                scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
                total += loss.detach()
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

    def _loss(self, model: Any, batch: Batch, device: str) -> torch.Tensor:
        """Summed nats of a micro-batch."""
        import torch

        labels = batch.labels.to(device)[:, 1:]
        logits = model(**batch.inputs(device)).logits[:, :-1]
        trained = labels != -100
        return torch.nn.functional.cross_entropy(logits[trained].float(), labels[trained], reduction="sum")


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
