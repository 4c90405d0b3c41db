"""What ``lean-rope`` puts in place of transformers' ``apply_rotary_pos_emb``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from inspect import unwrap
from typing import TYPE_CHECKING, Any

import torch

from graftlm.api import RunError

if TYPE_CHECKING:
    from graftlm.api import PatchContext

NAME = "apply_rotary_pos_emb"
Rotate = Callable[..., tuple[torch.Tensor, torch.Tensor]]


class _Rotation(torch.autograd.Function):
    """``x * cos + rotate_half(x) * sin``. Its gradient is the rotation back, so that nothing of ``x`` is kept."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(cos, sin)
        ctx.dtype = x.dtype
        half = x.shape[-1] // 2
        turned = x * cos
        turned[..., :half].addcmul_(x[..., half:], sin[..., :half], value=-1)
        turned[..., half:].addcmul_(x[..., :half], sin[..., half:])
        return turned

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        (gradient,) = gradients
        half = gradient.shape[-1] // 2
        back = gradient * cos
        back[..., :half].addcmul_(gradient[..., half:], sin[..., half:])
        back[..., half:].addcmul_(gradient[..., :half], sin[..., :half], value=-1)
        return back.to(ctx.dtype), None, None


def rotate(
    q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, unsqueeze_dim: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """``q``, ``k``: ``[samples, heads, tokens, head size]``; ``cos``, ``sin``: ``[samples, tokens, head size]``."""
    if cos.shape[-1] != q.shape[-1]:
        raise RunError("lean-rope: this model turns a part of each head: leave it out")
    cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
    turn: Callable[..., torch.Tensor] = _Rotation.apply
    return turn(q, cos, sin), turn(k, cos, sin)


class LeanRope:
    """A patch of the stage ``model``."""

    def __init__(self, context: PatchContext) -> None:
        self._happened = context.happened
        homes = [sys.modules[type(module).__module__] for module in _rotating(context.model)]
        self._layers, self._theirs = len(homes), {home: getattr(home, NAME) for home in homes}
        if not homes:
            raise RunError(f"lean-rope: no layer of this model calls {NAME}: leave it out")
        for home, function in self._theirs.items():
            if not _is_known(function):
                raise RunError(f"lean-rope: {home.__name__}.{NAME} turns heads in another way: leave it out")

    def __enter__(self) -> None:
        def ours(*given: Any, **named: Any) -> tuple[torch.Tensor, torch.Tensor]:
            self._happened["layers"] = self._layers
            return rotate(*given, **named)

        for home in self._theirs:
            setattr(home, NAME, ours)

    def __exit__(self, *_: object) -> None:
        for home, function in self._theirs.items():
            setattr(home, NAME, function)


def _rotating(model: Any) -> Iterator[Any]:
    """The modules whose code calls the function, which stands beside their class."""
    for module in model.modules():
        code = getattr(unwrap(type(module).forward), "__code__", None)
        if code is not None and NAME in code.co_names and hasattr(sys.modules[type(module).__module__], NAME):
            yield module


@torch.no_grad()
def _is_known(function: Rotate) -> bool:
    """Whether it computes what ours does, on a few numbers."""
    numbers = torch.Generator().manual_seed(0)
    q, k = (torch.randn(1, heads, 3, 8, generator=numbers) for heads in (2, 1))
    cos, sin = (torch.randn(1, 3, 8, generator=numbers) for _ in range(2))
    theirs, ours = function(q, k, cos, sin), rotate(q, k, cos, sin)
    return all(a.shape == b.shape and torch.allclose(a, b, atol=1e-6) for a, b in zip(theirs, ours, strict=True))
