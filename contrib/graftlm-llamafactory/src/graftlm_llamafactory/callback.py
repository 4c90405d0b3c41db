"""What LLaMA-Factory calls while it trains: our initial weights, our learning rates, and a report of each step."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from graftlm.api import RunError

if TYPE_CHECKING:
    from graftlm.api import TrainingContext

    from .packing import PackedRows


def reporting(context: TrainingContext, packed: PackedRows | None = None) -> Any:
    """A ``TrainerCallback`` for ``run_exp``; ``packed`` where LLaMA-Factory packed the rows."""
    from transformers import TrainerCallback

    steps = context.steps()

    class Reporting(TrainerCallback):  # type: ignore[misc]
        def on_init_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            _save_nothing(args)

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            model = kwargs["model"]
            if args.gradient_accumulation_steps > 1 and not _divides_by_the_step(model):
                mend = "leave backend.neat_packing out" if packed else "give a --micro-batch that is the --batch-size"
                raise RunError(
                    "LLaMA-Factory would weigh the micro-batches of this model alike, however many trained tokens "
                    f"they hold: {mend}"
                )
            context.loaded(model, packing=packed is not None)
            context.start()

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            context.checkpoint()
            for group in kwargs["optimizer"].param_groups:
                group["lr"] = context.learning_rate(state.global_step)

        def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            context.checkpoint()

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if "loss" not in (logs or {}):
                return
            step = state.global_step - 1
            context.stepped(
                step=step,
                loss=float(logs["loss"]),
                tokens=packed.tokens[step] if packed else steps.tokens(step),
                gradient_norm=float(logs.get("grad_norm", 0.0)),
                model=kwargs["model"],
            )

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            from accelerate.utils import extract_model_from_parallel

            extract_model_from_parallel(kwargs["model"], keep_fp32_wrapper=False)  # else its autocast stays

    return Reporting()


def _save_nothing(args: Any) -> None:
    """LLaMA-Factory saves at the end, whatever it is told: the adapter once more, and the arguments as a pickle. It
    asks the arguments whether this process is one that saves.
    """
    kind = type(args)
    args.__class__ = type(kind.__name__, (kind,), {"should_save": property(lambda self: False)})


def _divides_by_the_step(model: Any) -> bool:
    """As transformers decides it: the loss is divided by the trained tokens of the optimizer step where the model's
    forward takes arguments that it does not name, and by those of the micro-batch where it does not.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if hasattr(base, "accepts_loss_kwargs"):
        return bool(base.accepts_loss_kwargs)
    parameters = inspect.signature(type(base).forward).parameters.values()
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
