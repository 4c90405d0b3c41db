"""The ``trainer`` backend: transformers.Trainer with PEFT, as people write it by hand. The baseline."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from graftlm.api import Backend, hookimpl

from . import trainer_parts as parts

if TYPE_CHECKING:
    from pathlib import Path

    from graftlm.api import Plan, TrainingContext


class HuggingFaceTrainer:
    """Reads our batches in our order, with our learning rates; computes loss and steps as Trainer does."""

    loss = "transformers' causal language model loss"

    def prepare(self, plan: Plan, scratch: Path) -> None:
        pass

    def train(self, context: TrainingContext) -> None:
        from transformers import Trainer, TrainingArguments

        model = context.load()
        parts.unbalanced(model)
        steps = context.steps()
        with parts.forwards_restored(model):
            trainer = parts.ordered(Trainer)(
                model=model,
                args=parts.one_device(TrainingArguments(**parts.arguments(context), remove_unused_columns=False)),
                train_dataset=parts.MicroBatches(context),
                optimizers=parts.optimizers(context, model),
            )
            trainer.micro_batches = trainer.train_dataset
            parts.train(trainer, context, lambda step, logs: steps.tokens(step))


@hookimpl
def graftlm_backends() -> Iterable[Backend]:
    yield Backend(
        name="trainer",
        summary="transformers.Trainer with PEFT, the baseline",
        target="graftlm_plugins.backends.trainer:HuggingFaceTrainer",
        packs=True,
        follows=(*parts.FOLLOWS, "neftune_alpha"),
        supports=parts.unscaled,
        requires=parts.REQUIRES,
    )
