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


def packed(state: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    """A JSON value of ``state``, whose tensors are put into ``tensors`` under names that begin with ``name``.
    ``RunError`` where there is something else in it.
    """
    match state:
        case None | bool() | int() | str():
            return state
        case float():
            return state if math.isfinite(state) else ["float", repr(state)]
        case torch.Tensor():
            return ["tensor", _put(state.detach(), name, tensors)]
        case np.ndarray():
            try:
                return ["array", _put(torch.from_numpy(state.copy()), name, tensors)]
            except (TypeError, ValueError):
                raise RunError(f"a checkpoint cannot keep {name}: it is an array of {state.dtype}") from None
        case Mapping():
            return ["dict", *([_key(key), packed(value, f"{name}/{key}", tensors)] for key, value in state.items())]
        case list() | tuple():
            kind = "list" if isinstance(state, list) else "tuple"
            return [kind, *(packed(value, f"{name}/{i}", tensors) for i, value in enumerate(state))]
    raise RunError(f"a checkpoint cannot keep {name}: it is a {type(state).__name__}, neither tensors nor plain values")


def unpacked(said: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """What ``packed`` made ``said`` of."""
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


def _put(tensor: torch.Tensor, name: str, tensors: dict[str, torch.Tensor]) -> str:
    """The name that it has among the tensors: keys 1 and "1", or "a/b" and "b" in "a", would have the same one."""
    if tensor.layout != torch.strided or tensor.dtype == torch.complex128:  # nor can safetensors
        raise RunError(f"a checkpoint cannot keep {name}: it is a tensor of {tensor.layout} and {tensor.dtype}")
    own, number = name, 1
    while own in tensors:
        own, number = f"{name}#{number}", number + 1
    tensors[own] = tensor.to("cpu", copy=True).contiguous()  # the run may go on while this is written
    return own


def _key(key: Any) -> Any:
    if isinstance(key, str | int) and not isinstance(key, bool):
        return key
    raise RunError(f"a checkpoint cannot keep a state whose keys are {type(key).__name__}")
