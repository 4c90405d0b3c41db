"""The ``trainer`` backend: transformers.Trainer with PEFT, as people write it by hand. The baseline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from graftlm.api import Backend, Requirement, hookimpl

if TYPE_CHECKING:
    from graftlm.api import LoadedModel, Situation, TrainingContext


class HuggingFaceTrainer:
    """Reads our batches in our order, with our learning rates; computes loss and steps as Trainer does."""

    loss = "transformers' causal language model loss"

    def load(self, context: TrainingContext) -> LoadedModel:
        return context.load()

    def train(self, context: TrainingContext, loaded: LoadedModel) -> None:
        import torch
        from transformers import PrinterCallback, Trainer, TrainingArguments

        training = context.plan.training
        arguments = TrainingArguments(
            output_dir=str(context.scratch),
            max_steps=training.steps,
            per_device_train_batch_size=training.micro_batch,
            gradient_accumulation_steps=training.batch_size // training.micro_batch,
            learning_rate=training.learning_rate,
            weight_decay=training.weight_decay,
            max_grad_norm=training.max_grad_norm,
            bf16=context.plan.dtype == "bf16",
            fp16=context.plan.dtype == "fp16",
            use_cpu=context.device == "cpu",
            seed=training.seed,
            optim="adamw_torch_fused",
            save_strategy="no",
            eval_strategy="no",
            report_to="none",
            disable_tqdm=True,
            logging_steps=1,
            logging_nan_inf_filter=False,
            remove_unused_columns=False,
        )
        arguments._n_gpu = min(1, arguments.n_gpu)  # the plan says one device; Trainer would take all of them
        parameters = [p for p in loaded.model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(
            parameters, lr=training.learning_rate, weight_decay=training.weight_decay, fused=True
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: context.learning_rate(step) / training.learning_rate
        )

        class OrderedTrainer(Trainer):  # type: ignore[misc]
            def get_train_dataloader(self) -> Any:
                return torch.utils.data.DataLoader(self.train_dataset, batch_size=None)

        trainer = OrderedTrainer(
            model=loaded.model,
            args=arguments,
            train_dataset=_MicroBatches(context),
            optimizers=(optimizer, schedule),
            callbacks=[_reporting(context)],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        trainer.accelerator.unwrap_model(loaded.model, keep_fp32_wrapper=False)  # else its autocast stays


class _MicroBatches:
    """The plan's micro-batches as a map-style data set of batches."""

    def __init__(self, context: TrainingContext) -> None:
        self._batches = context.micro_batches()

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index >= len(self._batches):
            raise IndexError(index)
        batch = self._batches[index]
        return {"input_ids": batch.ids, "labels": batch.labels, "attention_mask": batch.mask}


def _reporting(context: TrainingContext) -> Any:
    """A callback that turns Trainer's log into our steps."""
    from transformers import TrainerCallback

    steps = context.steps()

    class Reporting(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            context.start()

        def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            context.checkpoint()

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if "loss" not in (logs or {}):
                return
            step = state.global_step - 1
            context.stepped(
                step=step,
                loss=float(logs["loss"]),
                tokens=steps.tokens(step),
                gradient_norm=float(logs.get("grad_norm", 0.0)),
                model=kwargs["model"],
            )

    return Reporting()


def supports(situation: Situation) -> Sequence[str]:
    """On a CPU, accelerate gives fp16 neither autocast nor a gradient scaler, without a word."""
    if situation.dtype == "fp16" and situation.device == "cpu":
        return ("computes fp16 on a CPU without mixed precision: use --backend peft, or --dtype bf16 or fp32",)
    return ()


@hookimpl
def graftlm_backends() -> Iterable[Backend]:
    yield Backend(
        name="trainer",
        summary="transformers.Trainer with PEFT, the baseline",
        target="graftlm_plugins.backends.trainer:HuggingFaceTrainer",
        supports=supports,
        requires=(
            Requirement(distribution="torch", minimum="2.11", below="2.14", extra="peft"),
            Requirement(distribution="transformers", minimum="5.17", below="5.24", extra="peft"),
            Requirement(distribution="peft", minimum="0.21", below="0.22", extra="peft"),
            Requirement(distribution="accelerate", extra="peft"),
        ),
    )
