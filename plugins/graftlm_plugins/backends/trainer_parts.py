"""What the backends on transformers.Trainer share: arguments, optimizer, our batches, the report of their steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from graftlm.api import Requirement

if TYPE_CHECKING:
    from graftlm.api import Batch, Situation, TrainingContext

REQUIRES = (
    Requirement(distribution="torch", minimum="2.11", below="2.14", extra="peft"),
    Requirement(distribution="transformers", minimum="5.17", below="5.24", extra="peft"),
    Requirement(distribution="peft", minimum="0.21", below="0.22", extra="peft"),
    Requirement(distribution="accelerate", extra="peft"),
)


FOLLOWS = ("optimizer", "loraplus_ratio", "early_stopping", "keep")
"""Settings that they follow, by way of the core."""


def unscaled(situation: Situation) -> tuple[str, ...]:
    """On a CPU, accelerate gives fp16 neither autocast nor a gradient scaler, without a word."""
    if situation.dtype == "fp16" and situation.device == "cpu":
        return ("computes fp16 on a CPU without mixed precision: use --backend peft, or --dtype bf16 or fp32",)
    return ()


def arguments(context: TrainingContext) -> dict[str, Any]:
    """For TrainingArguments and what is derived from it: the plan's numbers; nothing is saved, nothing is reported to
    anybody, every step is told. Gradient checkpointing is in force already where the plan says so.
    """
    training = context.plan.training
    return {
        "output_dir": str(context.scratch),
        "max_steps": training.steps,
        "per_device_train_batch_size": training.micro_batch,
        "gradient_accumulation_steps": training.batch_size // training.micro_batch,
        "learning_rate": training.learning_rate,
        "weight_decay": training.weight_decay,
        "max_grad_norm": training.max_grad_norm,
        "bf16": context.plan.dtype == "bf16",
        "fp16": context.plan.dtype == "fp16",
        "use_cpu": context.device == "cpu",
        "seed": training.seed,
        "optim": "adamw_torch_fused",  # not made: it is handed one
        "save_strategy": "no",
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
    }


def one_device(arguments: Any) -> Any:
    """The plan says one device; Trainer would take all of them."""
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


def optimizers(context: TrainingContext, model: Any) -> tuple[Any, Any]:
    """The plan's optimizer on what is trained, and a schedule that gives the plan's learning rates."""
    import torch

    peak, optimizer = context.plan.training.learning_rate, context.optimizer(model)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: context.learning_rate(step) / peak)
    return optimizer, schedule


class MicroBatches:
    """The plan's micro-batches as a map-style data set of batches."""

    def __init__(self, context: TrainingContext) -> None:
        self._batches = context.micro_batches()

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index >= len(self._batches):
            raise IndexError(index)
        return _named(self._batches[index])


def _named(batch: Batch) -> dict[str, Any]:
    """A batch by the names that a model knows. Packed rows have positions and no mask; and no cache, with which their
    samples would see each other.
    """
    told = {"attention_mask": batch.mask} if batch.mask is not None else {"position_ids": batch.positions}
    return {"input_ids": batch.ids, "labels": batch.labels, **told, "use_cache": False}


def ordered(trainer: type) -> Any:
    """A Trainer's class that reads our micro-batches in our order."""
    import torch

    class Ordered(trainer):  # type: ignore[misc]
        micro_batches: Any

        def get_train_dataloader(self) -> Any:
            return torch.utils.data.DataLoader(self.micro_batches, batch_size=None)

    return Ordered


def unbalanced(model: Any) -> None:
    """No loss beside the plan's: where a mixture of experts is configured to, it adds one that balances them."""
    config = model.config.get_text_config()
    if hasattr(config, "output_router_logits"):
        config.output_router_logits = False


def train(trainer: Any, context: TrainingContext, tokens: Callable[[int, Mapping[str, float]], int]) -> None:
    """Let it train, and report each step; ``tokens(step, logs)`` are the real tokens of a step."""
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_reporting(context, tokens))
    trainer.train()


def _reporting(context: TrainingContext, tokens: Callable[[int, Mapping[str, float]], int]) -> Any:
    """A callback that turns Trainer's log into our steps."""
    from transformers import TrainerCallback

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
                tokens=tokens(step, logs),
                gradient_norm=float(logs.get("grad_norm", 0.0)),
                model=kwargs["model"],
            )
            control.should_training_stop = control.should_training_stop or context.stopped

    return Reporting()


@contextmanager
def forwards_restored(model: Any) -> Iterator[None]:
    """accelerate (autocast) and TRL (its own head) replace a model's forward: neither stays."""
    modules = list(model.modules())
    before = [module.__dict__.get("forward") for module in modules]
    try:
        yield
    finally:
        for module, forward in zip(modules, before, strict=True):
            module.__dict__.pop("_original_forward", None)
            if forward is None:
                module.__dict__.pop("forward", None)
            else:
                module.forward = forward
