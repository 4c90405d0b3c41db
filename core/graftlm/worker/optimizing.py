"""The plan's optimizer: its parameter groups, and what is seen of its steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from graftlm.contracts.config import SETTINGS
from graftlm.contracts.errors import RunError
from graftlm.contracts.outcome import Effective
from graftlm.contracts.plan import Plan

from .targets import resolve_target

SECOND = frozenset(("lora_B", "lora_embedding_B"))
"""Names of LoRA's matrices that are multiplied with last."""


class Stepping:
    """Makes a run's optimizer and watches it step."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._class, self._bytes = "", 0

    def optimizer(self, model: Any) -> torch.optim.Optimizer:
        """Over the parameters that want gradients."""
        plan, training = self._plan, self._plan.training
        groups = [
            {"params": parameters, "lr": training.learning_rate * scale, "scale": scale}
            for parameters, scale in parameter_groups(model, training.loraplus_ratio)
        ]
        made: torch.optim.Optimizer = resolve_target(plan.part("optimizer").target)(
            groups,
            learning_rate=training.learning_rate,
            weight_decay=training.weight_decay,
            options=plan.options.get("optimizer", {}),
        )
        made.register_step_post_hook(self._stepped)
        return made

    def seen(self, effective: Effective) -> Effective:
        """With what has stepped so far."""
        return replace(effective, optimizer=self._class, optimizer_bytes=self._bytes)

    def measured(self, effective: Effective) -> Effective:
        """With what stepped. ``RunError`` where another than the default was to, and never did."""
        asked = self._plan.part("optimizer").name
        if not self._class and asked != SETTINGS["optimizer"]["default"]:
            backend = self._plan.part("backend").name
            raise RunError(f"the plan says optimizer {asked}, and backend {backend} trained without it")
        return self.seen(effective)

    def _stepped(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if not self._class:
            self._class = f"{type(optimizer).__module__}.{type(optimizer).__qualname__}"
            self._bytes = sum(tensor.nbytes for tensor in _state(optimizer))


def parameter_groups(model: Any, loraplus_ratio: float = 1.0) -> Iterator[tuple[list[torch.nn.Parameter], float]]:
    """What is trained, with its learning rate's share of the plan's. ``RunError`` where LoRA+ is asked for, and the
    model has no second matrices.
    """
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    second = {name for name, _ in named if loraplus_ratio != 1 and not SECOND.isdisjoint(name.split("."))}
    if loraplus_ratio != 1 and not second:
        raise RunError("LoRA+ wants LoRA's second matrices, and nothing that is trained here is one")
    for scale, inside in ((1.0, False), (loraplus_ratio, True)):
        if parameters := [parameter for name, parameter in named if (name in second) == inside]:
            yield parameters, scale


def _state(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """Its tensors, those that parameters share once."""
    found = {
        value.data_ptr(): value
        for state in optimizer.state.values()
        for value in state.values()
        if torch.is_tensor(value) and value.numel()
    }
    return list(found.values())
