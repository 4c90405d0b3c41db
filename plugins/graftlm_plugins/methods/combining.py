"""One LoRA adapter of several, by PEFT's ``add_weighted_adapter``; singular values by the factors alone.

All of it is computed on the CPU: what is drawn and rounded there is the same wherever the base lies. PEFT's own ``svd``
decomposes each layer's whole matrix, which takes minutes a layer on a large model. The same sum is ``cat``'s, of low
rank: the singular values of its factors are found in a moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftlm.api import RunError

from .combinations import largest_rank
from .peft_files import ADAPTER

if TYPE_CHECKING:
    from graftlm.api import CombinePlan

SIDES = (("lora_A", "lora_B"), ("lora_embedding_A", "lora_embedding_B"))


class Combines:
    """Methods whose adapters are LoRA's matrices."""

    if TYPE_CHECKING:

        def beside(self, model: Any, folder: Path, name: str) -> Any: ...
        def bare(self, model: Any) -> Any: ...

    def combine(self, model: Any, parents: Sequence[Path], plan: CombinePlan) -> Any:
        """The combination is the only adapter on the model, and scaled by 1."""
        base = model
        try:
            for number, folder in enumerate(parents):
                model = self.beside(model, folder, f"parent{number}")
            _combine(model, plan)
        except RunError:
            if model is not base:
                self.bare(model)
            raise
        model.set_adapter(ADAPTER, inference_mode=True)
        return model.requires_grad_(False).eval()


def _combine(model: Any, plan: CombinePlan) -> None:
    """The adapters that are on the model give way to their combination."""
    import torch

    from .peft_tuner import refused

    names = list(model.peft_config)
    first = model.peft_config[names[0]]
    ranks = [largest_rank(config.to_dict()) for config in model.peft_config.values()]
    # PEFT goes on with the first one's settings, and would scale the sum by them
    first.use_rslora, first.init_lora_weights = False, True
    places = {path: _to_cpu(layer, names) for path, layer in _layers(model)}
    svd = plan.combination == "svd"
    with refused(f"PEFT cannot combine them by {plan.combination}"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed or 0)
        way = "cat" if svd else plan.combination
        model.base_model.add_weighted_adapter(names, list(plan.weights), ADAPTER, way, density=plan.density)
    config = model.peft_config[ADAPTER]
    for _, layer in _layers(model):
        if plan.combination in ("cat", "svd"):
            _join(layer, names, plan.weights, config.r)
    for name in names:
        model.delete_adapter(name)
    if svd:
        config.r = config.lora_alpha = plan.rank or max(ranks)
    if isinstance(config.target_modules, str):  # joined with itself
        config.target_modules = first.target_modules
    for path, layer in _layers(model):
        if svd:
            _cut(layer, config.r)
        _settle(layer, path, places.get(path))


def _layers(model: Any) -> Iterator[tuple[str, Any]]:
    from peft.tuners.lora import LoraLayer

    return ((path, m) for path, m in model.base_model.model.named_modules() if isinstance(m, LoraLayer))


def _to_cpu(layer: Any, names: Sequence[str]) -> Any:
    """The device where the layer's matrices were."""
    device = None
    for side in (side for pair in SIDES for side in pair):
        for name in names:
            if (matrix := _matrix(layer, side, name)) is not None:
                device = matrix.device
                matrix.data = matrix.data.cpu()
    return device


def _join(layer: Any, names: Sequence[str], weights: Sequence[float], rank: int) -> None:
    """What ``cat`` has put there once more: PEFT rounds it to the base's precision, and adapters are kept in fp32."""
    import torch

    for side_a, side_b in SIDES:
        a, b = _matrix(layer, side_a), _matrix(layer, side_b)
        held = [(name, w) for name, w in zip(names, weights, strict=True) if name in getattr(layer, side_a)]
        if a is None or b is None or not held:
            continue
        rows = torch.cat([_matrix(layer, side_a, name).data.float() * (w * layer.scaling[name]) for name, w in held])
        columns = torch.cat([_matrix(layer, side_b, name).data.float() for name, _ in held], dim=1)
        a.data, b.data = rows.new_zeros(rank, rows.shape[1]), columns.new_zeros(columns.shape[0], rank)
        a.data[: len(rows)], b.data[:, : columns.shape[1]] = rows, columns


def _cut(layer: Any, rank: int) -> None:
    """The largest singular values of B·A, as factors of this rank: zeros where it has fewer."""
    import torch

    for side_a, side_b in SIDES:
        a, b = _matrix(layer, side_a), _matrix(layer, side_b)
        if a is None or b is None:
            continue
        left, inner_left = torch.linalg.qr(b.data.cpu().double())
        right, inner_right = torch.linalg.qr(a.data.cpu().double().T)
        u, values, vh = torch.linalg.svd(inner_left @ inner_right.T, full_matrices=False)
        u, vh = left @ (u * values), vh @ right.T
        kept = min(rank, len(values))
        # singular vectors come with either sign: the largest number of each is positive
        largest = vh.gather(1, vh.abs().argmax(dim=1, keepdim=True)).sign()
        largest[largest == 0] = 1
        u, vh = u * largest.T, vh * largest
        new_a, new_b = a.new_zeros(rank, a.shape[1], device="cpu"), b.new_zeros(b.shape[0], rank, device="cpu")
        new_a[:kept], new_b[:, :kept] = vh[:kept], u[:, :kept]
        a.data, b.data = new_a, new_b
    layer.r[ADAPTER] = layer.lora_alpha[ADAPTER] = rank
    layer.scaling[ADAPTER] = 1.0


def _settle(layer: Any, path: str, device: Any) -> None:
    """Back to where the base is; every number finite, and nothing scaled."""
    import torch

    if layer.scaling[ADAPTER] != 1:
        raise RunError(f"PEFT scaled the combination by {layer.scaling[ADAPTER]:g} in {path}")
    for side in (side for pair in SIDES for side in pair):
        matrix = _matrix(layer, side)
        if matrix is None:
            continue
        if not bool(torch.isfinite(matrix).all()):
            raise RunError(f"the combination is infinite or no number in {path}: give smaller weights")
        matrix.data = matrix.data.contiguous().to(device if device is not None else matrix.device)


def _matrix(layer: Any, side: str, name: str = ADAPTER) -> Any:
    held = getattr(layer, side)
    return getattr(held[name], "weight", held[name]) if name in held else None
