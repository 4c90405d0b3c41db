"""How far two adapters move a base's weights, and how much in the same direction, module by module.

Read with numpy from their files: nothing is loaded, and no matrix of the base's size is made.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftlm.contracts.errors import StoreError
from graftlm_registry.adapters.outside.safetensors_file import read_file_header

if TYPE_CHECKING:
    import numpy as np

CONFIG = "adapter_config.json"
PREFIX = "base_model.model."
LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")
PAIRS = ((".lora_A.weight", ".lora_B.weight"), (".lora_embedding_A", ".lora_embedding_B"))
TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1", "BOOL": "|b1"}


@dataclass(frozen=True, slots=True)
class Moved:
    """Frobenius norms of what each adapter adds to a module (or to all of a layer), and the inner product of both."""

    where: str
    first: float
    second: float
    inner: float

    @property
    def cosine(self) -> float | None:
        """None where one of them adds nothing."""
        return self.inner / (self.first * self.second) if self.first and self.second else None

    @property
    def apart(self) -> float:
        """The norm of the difference."""
        return math.sqrt(max(0.0, self.first**2 + self.second**2 - 2 * self.inner))


def by_module(first: Path, second: Path) -> list[Moved]:
    """Of two adapters' folders, on one base. LoRA's pairs count as their product, ``scale * B @ A``, any other tensor
    (a magnitude, a bias, a module that was trained whole) as it is. ``StoreError`` where shapes do not agree.
    """
    one, two = _changes(first), _changes(second)
    return [_moved(where, one.get(where), two.get(where)) for where in sorted(one.keys() | two.keys(), key=_order)]


def by_layer(modules: list[Moved]) -> list[Moved]:
    """The same, summed over the modules of a layer; what is in no layer goes by its own name."""
    found: dict[str, list[Moved]] = {}
    for module in modules:
        layer = LAYER.search(module.where)
        found.setdefault(f"layer {layer[1]}" if layer else module.where, []).append(module)
    return [whole(where, parts) for where, parts in found.items()]


def whole(where: str, parts: list[Moved]) -> Moved:
    return Moved(
        where,
        math.sqrt(sum(part.first**2 for part in parts)),
        math.sqrt(sum(part.second**2 for part in parts)),
        sum(part.inner for part in parts),
    )


@dataclass(frozen=True, slots=True)
class _Change:
    """``left @ right``; a tensor as it is has no ``right``."""

    left: np.ndarray[Any, Any]
    right: np.ndarray[Any, Any] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.left.shape if self.right is None else (self.left.shape[0], self.right.shape[1])

    def inner(self, other: _Change) -> float:
        """tr((L1 R1)ᵀ(L2 R2)) = Σ (L1ᵀL2) * (R1 R2ᵀ), whose factors are as small as the ranks."""
        if self.right is not None and other.right is not None:
            return float(((self.left.T @ other.left) * (self.right @ other.right.T)).sum())
        mine = self.left if self.right is None else self.left @ self.right
        theirs = other.left if other.right is None else other.left @ other.right
        return float((mine * theirs).sum())


def _moved(where: str, one: _Change | None, two: _Change | None) -> Moved:
    if one is not None and two is not None and one.shape != two.shape:
        raise StoreError(f"{where} is {one.shape} in one adapter and {two.shape} in the other: they fit other bases")
    first, second = (math.sqrt(max(0.0, change.inner(change))) if change else 0.0 for change in (one, two))
    return Moved(where, first, second, one.inner(two) if one and two else 0.0)


def _changes(folder: Path) -> dict[str, _Change]:
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8")) if (folder / CONFIG).is_file() else {}
    tensors = {name: array for path in sorted(folder.glob("*.safetensors")) for name, array in _tensors(path)}
    found: dict[str, _Change] = {}
    for name, array in tensors.items():
        module = name.removeprefix(PREFIX)
        for a, b in PAIRS:
            if name.endswith(a) and name.removesuffix(a) + b in tensors:
                path, other = module.removesuffix(a), tensors[name.removesuffix(a) + b]
                scale = _scale(config, path, array.shape[0])
                found[path] = _Change(scale * other, array)  # of an embedding both are transposed: the same norm
                break
            if name.endswith(b) and name.removesuffix(b) + a in tensors:
                break
        else:
            found[module] = _Change(array)
    return found


def _scale(config: Mapping[str, Any], path: str, rank: int) -> float:
    alpha = config.get("lora_alpha") or rank
    for key, value in (config.get("alpha_pattern") or {}).items():
        if re.fullmatch(rf"(?:.*\.)?(?:{key})", path):
            alpha = value
            break
    return float(alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank)


def _tensors(path: Path) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    import numpy as np

    header = read_file_header(path)
    with path.open("rb") as file:
        for name, tensor in header.tensors.items():
            file.seek(header.data + tensor.begin)
            raw, kind = file.read(tensor.end - tensor.begin), tensor.dtype
            if kind == "BF16":  # the upper half of a float32
                array = (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
            elif kind in TYPES:
                array = np.frombuffer(raw, TYPES[kind])
            else:
                raise StoreError(f"{path} has {name} as {kind}, which cannot be compared")
            yield name, array.astype("float64").reshape(tensor.shape)


def _order(where: str) -> tuple[object, ...]:
    """Numbers by their size."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in where.split("."))
