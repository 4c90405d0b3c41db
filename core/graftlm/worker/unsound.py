"""Numbers that are none, in what a step gave and in what it made of the weights."""

from __future__ import annotations

import math
from typing import Any

import torch


def unsound(loss: float, gradient_norm: float, overflow: bool, model: Any) -> str:
    """What is wrong with a finished step, in words; empty where nothing is. Weights are looked at each time: a loss
    shows them one step late, and not after the last one.
    """
    if overflow or not math.isfinite(loss):
        return f"the loss is {loss} and the gradient norm {gradient_norm}"
    bad = unsound_weights(model)
    return f"the optimizer made {bad} infinite or no number" if bad else ""


def unsound_weights(model: Any) -> str:
    """The first trained tensor with a number that is none, by its name; empty where all are sound."""
    if model is None:
        return ""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad and p.numel()]
    with torch.no_grad():
        norms = torch._foreach_norm([p for _, p in named], float("inf")) if named else []
        if not norms or bool(torch.isfinite(torch.stack([norm.float() for norm in norms])).all()):
            return ""
    bad = (name for (name, _), norm in zip(named, norms, strict=True) if not bool(torch.isfinite(norm)))
    return next(bad, "")  # none where a number of 64 bits was too large for 32 alone
