"""Acme's optimizer for graftlm: AdamW that looks one step ahead, as Nesterov's momentum does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from graftlm.api import Optimizer, Option, hookimpl

if TYPE_CHECKING:
    import torch


def make(
    groups: Any, *, learning_rate: float, weight_decay: float, options: Mapping[str, Any]
) -> torch.optim.Optimizer:
    """NAdam (Dozat 2016). ``groups`` are parameter groups as torch has them, each with an ``lr`` of its own, which
    whoever trains sets before each step. ``options`` are those that are declared below, with their defaults.
    """
    import torch  # in here: every command of graftlm imports this module, and must start at once

    # An optimizer of your own is a class as torch's are. What it keeps from one step to the next belongs into
    # self.state[parameter], as tensors and numbers: a run that was stopped goes on from there, to the last bit.
    return torch.optim.NAdam(
        groups,
        lr=learning_rate,
        betas=(options["beta1"], options["beta2"]),
        weight_decay=weight_decay,
        decoupled_weight_decay=True,
    )


@hookimpl
def graftlm_optimizers() -> Iterable[Optimizer]:
    # name is what --optimizer takes; the options are --set optimizer.beta1=… and so on
    yield Optimizer(
        name="acme",
        summary="AdamW that looks one step ahead, as Nesterov's momentum does",
        target="graftlm_acme:make",
        state_bytes=8.0,  # two numbers in fp32 for each trained parameter: a plan reckons its memory with it
        options=(
            Option(
                name="beta1", type="float", default=0.9, minimum=0, maximum=0.9999,
                help="how long the mean of gradients remembers",
            ),
            Option(
                name="beta2", type="float", default=0.999, minimum=0, maximum=0.999999,
                help="how long the mean of their squares remembers",
            ),
        ),
        suite="graftlm_acme.conformance:AcmeSuite",
    )  # fmt: skip
