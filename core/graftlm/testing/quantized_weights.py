"""What a quantized layer stores, and what it multiplies by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def linear_weights(model: Any) -> dict[str, torch.Tensor]:
    """Weights of the linear layers by path, the head left out."""
    import torch

    head = model.get_output_embeddings()
    return {p: m.weight for p, m in model.named_modules() if isinstance(m, torch.nn.Linear) and m is not head}


def relative_error(model: Any, weights: Mapping[str, torch.Tensor]) -> float:
    """Root mean square of what the layers multiply by less ``weights``, as a share of that of ``weights``."""
    import torch

    model.train()
    lost = whole = 0.0
    with torch.no_grad():
        for path, weight in weights.items():
            lost += float((effective_weight(model, path, weight.shape[1]).cpu() - weight).square().sum())
            whole += float(weight.square().sum())
    return float((lost / whole) ** 0.5)


def effective_weight(model: Any, path: str, inputs: int) -> torch.Tensor:
    """What a layer multiplies by, ``[outputs, inputs]``: it says so when it is given the unit vectors (in training: an
    evaluation may round activations as well).
    """
    import torch

    layer, units = model.get_submodule(path), torch.eye(inputs, device=model.device)
    found: torch.Tensor = (layer(units) - layer(torch.zeros_like(units[:1]))).T
    return found


def stored_bytes(model: Any, name: str) -> int:
    """Bytes of a parameter and of what goes with it, as the state of the model has them."""
    parts = (value for key, value in model.state_dict().items() if key == name or key.startswith(f"{name}."))
    return sum(_bytes(part) for part in parts)


def _bytes(tensor: Any) -> int:
    if hasattr(tensor, "__tensor_flatten__"):
        return sum(_bytes(getattr(tensor, name)) for name in tensor.__tensor_flatten__()[0])
    return int(tensor.numel() * tensor.element_size())
