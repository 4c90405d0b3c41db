"""Optimizers of torch and transformers: ``adamw``, ``sgd``, ``adafactor``. Every backend requires both itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from graftlm.api import Optimizer, Option, hookimpl

from .betas import BETA1, BETA2, EPS

if TYPE_CHECKING:
    import torch

FACTORED_BYTES = 0.5
"""A row's and a column's sum in fp32 of a matrix of rank 8 is about half a byte a parameter; of a larger one, less."""


def adamw(groups: Any, *, learning_rate: float, weight_decay: float, options: Mapping[str, Any]) -> torch.optim.AdamW:
    import torch

    betas = (options["beta1"], options["beta2"])
    return torch.optim.AdamW(
        groups, lr=learning_rate, betas=betas, eps=options["eps"], weight_decay=weight_decay, fused=True
    )


def sgd(groups: Any, *, learning_rate: float, weight_decay: float, options: Mapping[str, Any]) -> torch.optim.SGD:
    import torch

    return torch.optim.SGD(
        groups,
        lr=learning_rate,
        momentum=options["momentum"],
        weight_decay=weight_decay,
    )


def adafactor(groups: Any, *, learning_rate: float, weight_decay: float, options: Mapping[str, Any]) -> Any:
    """transformers', with the schedule's learning rate in place of one of its own. Steps that grow with a parameter's
    size would leave a matrix that starts at zero, as LoRA's second, where it is: they are off.
    """
    from transformers.optimization import Adafactor

    return Adafactor(
        groups,
        lr=learning_rate,
        weight_decay=weight_decay,
        clip_threshold=options["clip_threshold"],
        decay_rate=options["decay_rate"],
        scale_parameter=False,
        relative_step=False,
        warmup_init=False,
    )


@hookimpl
def graftlm_optimizers() -> Iterable[Optimizer]:
    here = "graftlm_plugins.optimizers.plain"
    yield Optimizer(
        name="adamw",
        summary="AdamW, torch's fused one",
        target=f"{here}:adamw",
        options=(BETA1, BETA2, EPS),
    )
    yield Optimizer(
        name="adafactor",
        summary="AdamW's second moment as sums of rows and columns, no first: hardly any state",
        target=f"{here}:adafactor",
        state_bytes=FACTORED_BYTES,
        options=(
            Option(
                name="clip_threshold",
                type="float",
                default=1.0,
                minimum=0.01,
                help="largest root mean square of an update, before the learning rate",
            ),
            Option(
                name="decay_rate",
                type="float",
                default=-0.8,
                minimum=-1,
                maximum=0,
                help="how fast the average of the squares forgets: the power of the step's number",
            ),
        ),
    )
    yield Optimizer(
        name="sgd",
        summary="gradient descent with momentum: wants a much larger learning rate than AdamW",
        target=f"{here}:sgd",
        state_bytes=4.0,
        options=(
            Option(
                name="momentum", type="float", default=0.9, minimum=0, maximum=0.9999, help="share of the last step"
            ),
        ),
    )
