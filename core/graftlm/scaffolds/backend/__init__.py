"""``acme``: a training loop of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from graftlm.api import Backend, Requirement, hookimpl

if TYPE_CHECKING:  # nothing heavy at the module's level: every command of graftlm imports this file
    from pathlib import Path

    from graftlm.api import Plan, Situation, TrainingContext


class AcmeTrainer:
    """Made without arguments, in the worker. It trains what the plan says: the context has the model with its adapter,
    the optimizer steps with their batches in the plan's order, the learning rates, and the loss.
    """

    loss = ""
    """How the loss is computed, for the run's record; empty where it is by ``context.loss``."""

    def prepare(self, plan: Plan, scratch: Path) -> None:
        """Before torch, transformers or peft is imported: for a library that must come first."""

    def train(self, context: TrainingContext) -> None:
        import torch

        model = context.load()
        optimizer = context.optimizer(model)
        trained = [p for p in model.parameters() if p.requires_grad]
        half = context.plan.dtype == "bf16"
        model.train()
        context.start()
        for step in context.steps():  # begins with the first that is not done yet, where a run goes on
            context.set_learning_rate(optimizer, step.index)
            total = 0.0
            for batch in step.batches:
                context.checkpoint()  # raises where the run must stop
                with torch.autocast(context.device, torch.bfloat16, enabled=half):
                    # Divided by the step's trained tokens, so that micro-batches of any size give one gradient.
                    loss = context.loss(model, batch) / step.trained
                loss.backward()  # type: ignore[no-untyped-call]
                total += float(loss.detach())
            norm = torch.nn.utils.clip_grad_norm_(trained, context.plan.training.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            tokens = sum(batch.tokens for batch in step.batches)
            context.stepped(step=step.index, loss=total, tokens=tokens, gradient_norm=float(norm), model=model)


def supports(situation: Situation) -> Sequence[str]:
    """Reasons against a run; none where it can be done as the plan says. A plan shows them."""
    if situation.dtype == "fp16":
        return ("does not scale its gradients, which fp16 needs: say --dtype bf16 or fp32",)
    return ()


@hookimpl
def graftlm_backends() -> Iterable[Backend]:
    yield Backend(
        name="acme",
        summary="a training loop of one's own",
        target="graftlm_acme:AcmeTrainer",
        packs=True,  # batches may be packed: their positions go to the model by context.loss
        losses=True,  # an accelerator may bring another way to compute the loss
        resumes=True,  # it keeps nothing from one step to the next but its optimizer, which is context.optimizer's
        # Settings that not every backend follows; whatever it would pass over in silence must not stand here.
        follows=(
            "checkpoint_every",
            "checkpoint_minutes",
            "early_stopping",
            "keep",
            "label_smoothing",
            "loraplus_ratio",
            "neftune_alpha",
            "optimizer",
            "tokens_per_step",
        ),
        requires=(Requirement(distribution="torch", extra="peft"), Requirement(distribution="peft", extra="peft")),
        supports=supports,
        suite="graftlm_acme.conformance:AcmeSuite",
    )
