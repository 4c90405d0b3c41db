"""``acme``: RMS norms as one function with a backward pass of its own, which keeps one number a token instead of copies
of the activations in fp32.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from types import MethodType
from typing import TYPE_CHECKING, Any

from graftlm.api import Accelerator, RunError, hookimpl

if TYPE_CHECKING:  # nothing heavy at the module's level: every command of graftlm imports this file
    import torch

    from graftlm.api import PatchContext, Situation

PROBE = (4, 8)
"""Rows and tokens on which a norm is compared with what takes its place."""


@cache
def rms_norm() -> Any:
    """The function, made when torch is there: of inputs ``[…, hidden]``, a weight ``[hidden]`` and an epsilon."""
    import torch

    class RmsNorm(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, inputs: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
            wide = inputs.float()
            inverse = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + epsilon)
            ctx.save_for_backward(inputs, weight, inverse)
            return weight * (wide * inverse).to(inputs.dtype)

        @staticmethod
        def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, None]:
            (gradient,), (inputs, weight, inverse) = gradients, ctx.saved_tensors
            normed = inputs.float() * inverse
            wanted = (gradient * weight).float()
            to_inputs = inverse * (wanted - normed * (wanted * normed).mean(-1, keepdim=True))
            to_weight = None
            if ctx.needs_input_grad[1]:  # under LoRA the norms are frozen
                to_weight = (gradient * normed).flatten(0, -2).sum(0).to(weight.dtype)
            return to_inputs.to(inputs.dtype), to_weight, None

    return RmsNorm


def _forward(norm: Any, hidden_states: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = rms_norm().apply(hidden_states, norm.weight, norm.variance_epsilon)
    return found


class AcmePatch:
    """A patch is a context manager: it changes the model on entry, and on exit it puts back all that it changed."""

    def __init__(self, context: PatchContext) -> None:
        self._context = context
        self._norms: list[Any] = []

    def __enter__(self) -> None:
        for path, norm in norms(self._context.model):
            if not computes_the_same(norm):
                raise RunError(f"acme: {path} is a norm that computes something else: leave acme out")
            self._norms.append(norm)
        if not self._norms:
            raise RunError("acme: this model has no RMS norm to replace: leave acme out")
        for norm in self._norms:
            norm.forward = MethodType(_forward, norm)
        # It stands in the run's record: count what was done, not what was meant. A run fails where it is empty.
        self._context.happened["norms"] = sum(vars(norm).get("forward") is not None for norm in self._norms)

    def __exit__(self, *_: object) -> None:
        for norm in self._norms:
            vars(norm).pop("forward", None)
        self._norms.clear()


def norms(model: Any) -> Iterator[tuple[str, Any]]:
    """Modules that look like an RMS norm, by path."""
    for path, module in model.named_modules():
        if type(module).__name__.endswith("RMSNorm") and hasattr(module, "variance_epsilon"):
            yield path, module


def computes_the_same(norm: Any) -> bool:
    """Held against the norm itself: some add one to their weight, and no name tells. The generator is one of its own:
    a patch must leave the run's random numbers alone.
    """
    import torch

    weight = norm.weight
    drawn = torch.randn((*PROBE, len(weight)), generator=torch.Generator().manual_seed(0))
    inputs = drawn.to(weight.device, weight.dtype)
    with torch.no_grad():
        near = 1e-5 if weight.dtype == torch.float32 else 1e-2
        return torch.allclose(_forward(norm, inputs), norm(inputs), rtol=near, atol=near)


def supports(situation: Situation) -> Sequence[str]:
    """Reasons against it, by facts and the model's ``config.json``; none where it is exact. A plan shows them."""
    if situation.facts.remote_code:
        return ("does not know what code that comes with a checkpoint computes: leave it out",)
    if "rms_norm_eps" not in situation.config:
        return ("knows RMS norms, and this model's config.json has none (no rms_norm_eps): leave it out",)
    return ()


@hookimpl
def graftlm_accelerators() -> Iterable[Accelerator]:
    yield Accelerator(
        name="acme",
        summary="RMS norms as one function that keeps less for its backward pass",
        # What it replaces: two accelerators with one claim exclude each other.
        claims=("norm",),
        # By stage: import, load, model (the base), adapter (with the method on it), step.
        patches={"model": "graftlm_acme:AcmePatch"},
        supports=supports,
        # Its place where --accelerator auto chooses; 0 is never, until it is proved to be worth it.
        rank=0,
        gain="fewer activations",
        suite="graftlm_acme.conformance:AcmeSuite",
    )
