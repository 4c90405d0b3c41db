"""What ``fused-lora`` puts in place of the ``forward`` of PEFT's LoRA layers.

    y = x W' + b + s (x A') B'

is one function with a backward pass of its own, which keeps ``x`` and ``x A'`` alone. Layers that read the same input
(queries, keys and values; gate and up) are found in the first pass, and computed together from then on: their ``A`` are
one matrix product, and so is what goes back to their input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import linear

from graftlm.api import RunError

if TYPE_CHECKING:
    from graftlm.api import PatchContext


class _Fused(torch.autograd.Function):
    """Of ``x`` ``[tokens, inputs]``, and for each layer its weight ``[outputs, inputs]``, bias or None, ``A``
    ``[rank, inputs]``, ``B`` ``[outputs, rank]``: a result ``[tokens, outputs]`` for each layer.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, scales: tuple[float, ...], *tensors: Any) -> tuple[torch.Tensor, ...]:
        layers = [tensors[i : i + 4] for i in range(0, len(tensors), 4)]
        ranks = [a.shape[0] for _, _, a, _ in layers]
        together = torch.cat([a for _, _, a, _ in layers]).to(x.dtype)
        low = linear(x, together)
        results, ups = [], []
        for (weight, bias, _, b), scale, part in zip(layers, scales, torch.split(low, ranks, dim=1), strict=True):
            up = b.to(x.dtype)
            ups.append(up)
            results.append(linear(x, weight, bias).addmm_(part, up.t(), alpha=scale))
        ctx.save_for_backward(x, low, together, *(weight for weight, _, _, _ in layers), *ups)
        ctx.scales, ctx.ranks = scales, ranks
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[Any, ...]:
        x, low, together, *rest = ctx.saved_tensors
        count = len(ctx.scales)
        weights, ups = rest[:count], rest[count:]
        gradients = tuple(g.contiguous() for g in gradients)
        lows = torch.split(low, ctx.ranks, dim=1)
        back = torch.cat([g.mm(b).mul_(s) for g, b, s in zip(gradients, ups, ctx.scales, strict=True)], dim=1)
        found_a = torch.split(back.t().mm(x).float(), ctx.ranks)
        found: list[Any] = []
        for g, part, scale, a in zip(gradients, lows, ctx.scales, found_a, strict=True):
            found += [None, None, a, g.t().mm(part).float().mul_(scale)]
        inner = None
        if ctx.needs_input_grad[0]:
            inner = back.mm(together)
            for g, weight in zip(gradients, weights, strict=True):
                inner.addmm_(g, weight)
        return inner, None, *found


@dataclass(slots=True)
class _Group:
    """Layers that read the same input. ``last`` is the input of the pass that is going on, and ``results`` what was
    made of it for those layers that were not asked yet.
    """

    layers: list[Any]
    last: torch.Tensor | None = None
    results: dict[int, torch.Tensor] = field(default_factory=dict)

    def computed(self, layer: Any, x: torch.Tensor) -> torch.Tensor:
        if self.last is not x or id(layer) not in self.results:
            self.last, self.results = x, dict(zip(map(id, self.layers), _together(self.layers, x), strict=True))
        result = self.results.pop(id(layer))
        if not self.results:
            self.last = None
        return result


class FusedLora:
    """A patch of the stage ``adapter``; each layer gets its own ``forward`` back."""

    def __init__(self, context: PatchContext) -> None:
        from peft.tuners.lora.layer import Linear

        self._layers = [m for m in context.model.modules() if type(m) is Linear and _plain(m)]
        if not self._layers:
            raise RunError("fused-lora: no layer of this model has a plain LoRA: leave it out")
        self._groups = _groups(context.model, self._layers)
        context.happened["layers"] = len(self._layers)
        context.happened["functions"] = len({id(group) for group in self._groups.values()})

    def __enter__(self) -> None:
        for layer in self._layers:
            layer.forward = self._forward_of(layer, self._groups[id(layer)])

    def __exit__(self, *_: object) -> None:
        for layer in self._layers:
            del layer.forward
        self._groups.clear()

    @staticmethod
    def _forward_of(layer: Any, group: _Group) -> Any:
        plain = type(layer).forward

        def forward(x: torch.Tensor, *arguments: Any, **given: Any) -> torch.Tensor:
            if layer.disable_adapters or layer.merged or arguments or given:
                return plain(layer, x, *arguments, **given)  # type: ignore[no-any-return]
            return group.computed(layer, x)

        return forward


def _groups(model: Any, layers: Sequence[Any]) -> dict[int, _Group]:
    """By a layer's identity. One token goes through the model, to see which layers come with the same input one after
    the other; those that it does not meet, as of experts, are by themselves.
    """
    seen: list[tuple[torch.Tensor, Any]] = []
    hooks = [layer.register_forward_pre_hook(lambda layer, given: seen.append((given[0], layer))) for layer in layers]
    training, weight = model.training, layers[0].get_base_layer().weight
    half = weight.dtype if weight.dtype in (torch.bfloat16, torch.float16) else None
    try:
        model.eval()
        with torch.no_grad(), torch.autocast(weight.device.type, half, enabled=half is not None):  # as in training
            model(input_ids=torch.zeros(1, 1, dtype=torch.long, device=model.device), use_cache=False)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    met: dict[int, list[torch.Tensor]] = {}
    for x, layer in seen:
        met.setdefault(id(layer), []).append(x)
    found: dict[int, _Group] = {}
    before: torch.Tensor | None = None
    group = _Group([])
    for x, layer in seen:
        if len(met[id(layer)]) == 1:  # a layer that is met more often has other inputs each time
            group = group if x is before else _Group([])
            group.layers.append(layer)
            found[id(layer)], before = group, x
        else:
            before = None
    return {**{id(layer): _Group([layer]) for layer in layers}, **found}


def _together(layers: Sequence[Any], x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """In autocast's precision, where it is on: what comes in may be of another, as behind a norm that is trained."""
    kind = x.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
    tensors: list[Any] = []
    scales = []
    for layer in layers:
        name = layer.active_adapters[0]
        base = layer.get_base_layer()
        bias = None if base.bias is None else base.bias.to(dtype)
        tensors += [base.weight.to(dtype), bias, layer.lora_A[name].weight, layer.lora_B[name].weight]
        scales.append(layer.scaling[name])
    rows = x.reshape(-1, x.shape[-1]).to(dtype)
    with torch.autocast(kind, enabled=False):
        results = _Fused.apply(rows, tuple(scales), *tensors)  # type: ignore[no-untyped-call]
    return tuple(result.view(*x.shape[:-1], -1) for result in results)


def _plain(layer: Any) -> bool:
    """One active adapter without dropout, on a weight that is a matrix of numbers."""
    names = layer.active_adapters
    return (
        len(names) == 1
        and names[0] in layer.lora_A
        and names[0] not in layer.lora_variant
        and isinstance(layer.lora_dropout[names[0]], torch.nn.Identity)
        and layer.lora_B[names[0]].bias is None
        and layer.get_base_layer().weight.is_floating_point()
        and not any(p.requires_grad for p in layer.get_base_layer().parameters())  # their gradients are not computed
    )
