"""The digest of a base's weights, however they are stored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import torch


def base_digest(model: Any) -> str:
    """SHA-256 of a bare base's state by name. Quantized weights are there as their bytes, scales and settings."""
    whole = hashlib.sha256()
    state = model.state_dict()
    for name in sorted(state):
        for part, tensor in _plain(state[name]):
            flat = tensor.detach().contiguous().flatten().view(torch.uint8).cpu()
            whole.update(f"{name}{part} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            whole.update(flat.numpy().data)
    return whole.hexdigest()


def _plain(tensor: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """The plain tensors that a tensor is made of: itself, or, as torchao has them, several."""
    if not hasattr(tensor, "__tensor_flatten__"):
        yield "", tensor
        return
    for name in tensor.__tensor_flatten__()[0]:
        for part, plain in _plain(getattr(tensor, name)):
            yield f".{name}{part}", plain
