"""The ``peft`` backend: a lean loop of our own on PEFT and accelerate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from graftlm.api import Backend, Requirement, hookimpl

if TYPE_CHECKING:
    import torch

    from graftlm.api import Batch, LoadedModel, TrainingContext

PRECISION = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


class PeftTrainer:
    """Each optimizer step divides the summed loss by the step's trained tokens, so that micro-batches of any size
    give the same gradient.
    """

    loss = "cross-entropy over the trained positions"

    def load(self, context: TrainingContext) -> LoadedModel:
        return context.load()

    def train(self, context: TrainingContext, loaded: LoadedModel) -> None:
        import torch
        from accelerate import Accelerator

        training = context.plan.training
        accelerator = Accelerator(mixed_precision=PRECISION[context.plan.dtype], cpu=context.device == "cpu")
        parameters = [p for p in loaded.model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(
            parameters, lr=training.learning_rate, weight_decay=training.weight_decay, fused=True
        )
        model, optimizer = accelerator.prepare(loaded.model, optimizer)
        model.train()
        context.start()
        for step in context.steps():
            for group in optimizer.param_groups:
                group["lr"] = context.learning_rate(step.index)
            total = torch.zeros((), device=accelerator.device)
            for batch in step.batches:
                context.checkpoint()
                loss = self._loss(model, batch, accelerator.device) / step.trained
                accelerator.backward(loss)
                total += loss.detach()
            norm = accelerator.clip_grad_norm_(parameters, training.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            context.stepped(
                step=step.index,
                loss=float(total),
                tokens=sum(batch.tokens for batch in step.batches),
                gradient_norm=float(norm) if norm is not None else 0.0,
                model=model,
            )
        accelerator.unwrap_model(model, keep_fp32_wrapper=False)  # else its autocast stays on the model

    def _loss(self, model: Any, batch: Batch, device: torch.device) -> torch.Tensor:
        """Summed nats of a micro-batch."""
        import torch

        labels = batch.labels.to(device)[:, 1:]
        mask = None if bool(batch.mask.all()) else batch.mask.to(device)
        logits = model(input_ids=batch.ids.to(device), attention_mask=mask, use_cache=False).logits[:, :-1]
        trained = labels != -100
        return torch.nn.functional.cross_entropy(logits[trained].float(), labels[trained], reduction="sum")


@hookimpl
def graftlm_backends() -> Iterable[Backend]:
    yield Backend(
        name="peft",
        summary="a lean loop on PEFT and accelerate",
        target="graftlm_plugins.backends.peft:PeftTrainer",
        requires=(
            Requirement(distribution="torch", minimum="2.11", below="2.14", extra="peft"),
            Requirement(distribution="transformers", minimum="5.17", below="5.24", extra="peft"),
            Requirement(distribution="peft", minimum="0.21", below="0.22", extra="peft"),
            Requirement(distribution="accelerate", extra="peft"),
        ),
    )
