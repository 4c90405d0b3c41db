"""States of optimizers, scalers and generators as tensors and JSON: what pickle would be used for elsewhere.

Numbers, texts and None stand for themselves; everything else is a list that begins with its kind: ``["list", …]``,
``["tuple", …]``, ``["dict", [key, value], …]`` (keys keep their types), ``["float", "nan"]``, ``["tensor", name]``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from graftlm.contracts.errors import RunError


class Packing:
    """Takes states, and collects their ``tensors`` under names of its own; a tensor that states share is kept once
    (bitsandbytes' maps are).
    """

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self._known: dict[tuple[int, torch.Size, torch.dtype], str] = {}

    def packed(self, state: Any, what: str) -> Any:
        """A JSON value of ``state``; ``what`` it is, for errors: ``RunError`` where it holds something else."""
        match state:
            case None | bool() | int() | str():
                return state
            case float():
                return state if math.isfinite(state) else ["float", repr(state)]
            case torch.Tensor():
                return ["tensor", self._kept(state.detach(), what)]
            case np.ndarray():
                try:
                    return ["array", self._kept(torch.from_numpy(state.copy()), what)]
                except (TypeError, ValueError):
                    raise RunError(f"a checkpoint cannot keep {what}: it is an array of {state.dtype}") from None
            case Mapping():
                return ["dict", *([_key(key), self.packed(value, f"{what}/{key}")] for key, value in state.items())]
            case list() | tuple():
                kind = "list" if isinstance(state, list) else "tuple"
                return [kind, *(self.packed(value, f"{what}/{i}") for i, value in enumerate(state))]
        raise RunError(
            f"a checkpoint cannot keep {what}: it is a {type(state).__name__}, neither tensors nor plain values"
        )

    def _kept(self, tensor: torch.Tensor, what: str) -> str:
        if tensor.layout != torch.strided or tensor.dtype == torch.complex128:  # nor can safetensors
            raise RunError(f"a checkpoint cannot keep {what}: it is a tensor of {tensor.layout} and {tensor.dtype}")
        tensor = tensor.to("cpu").contiguous()
        place = (tensor.data_ptr(), tensor.shape, tensor.dtype)
        if tensor.numel() and place in self._known:
            return self._known[place]
        if tensor.untyped_storage().nbytes() != tensor.nbytes:  # safetensors takes whole ones only
            tensor = tensor.clone()
        name = f"{len(self.tensors):06}"
        self.tensors[name] = tensor
        self._known[place] = name
        return name


def unpacked(said: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """What a ``Packing`` made ``said`` of, with its tensors."""
    if not isinstance(said, list):
        return said
    kind, rest = said[0], said[1:]
    match kind:
        case "float":
            return float(rest[0])
        case "tensor":
            return tensors[rest[0]]
        case "array":
            return tensors[rest[0]].numpy()
        case "dict":
            return {key: unpacked(value, tensors) for key, value in rest}
        case "list":
            return [unpacked(value, tensors) for value in rest]
        case "tuple":
            return tuple(unpacked(value, tensors) for value in rest)
    raise RunError(f"a checkpoint says '{kind}', which this graftlm does not know")


def _key(key: Any) -> Any:
    if isinstance(key, str | int) and not isinstance(key, bool):
        return key
    raise RunError(f"a checkpoint cannot keep a state whose keys are {type(key).__name__}")
