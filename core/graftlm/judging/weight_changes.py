"""How far two adapters move a base's weights, and how much in the same direction, module by module.

Read with numpy from their files: nothing is loaded, no matrix of the base's size is made, and no more than a module's
factors, or a piece of a tensor, is held at a time.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from graftlm.contracts.errors import StoreError

from .stored_tensors import Stored, stored_tensors

if TYPE_CHECKING:
    import numpy as np

CONFIG = "adapter_config.json"
PREFIX = "base_model.model."
LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")
PAIRS = ((".lora_A.weight", ".lora_B.weight"), (".lora_embedding_A", ".lora_embedding_B"))
MAGNITUDE = ".lora_magnitude_vector"


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


@dataclass(frozen=True, slots=True)
class Apart:
    """A tensor that stands for itself: a magnitude, a bias, a module that was trained whole. How much of it is a change
    is not known without the base, only how far the two are ``apart``: None where there are no two of one shape.
    """

    where: str
    apart: float | None
    has: Literal["both", "first", "second"] = "both"


@dataclass(frozen=True, slots=True)
class Compared:
    """``moved`` are LoRA's pairs, ``apart`` all other tensors. ``direction_only``: what a pair adds is scaled by a
    magnitude afterwards (DoRA).
    """

    moved: list[Moved]
    apart: list[Apart]
    direction_only: bool


def compare_weights(first: Path, second: Path) -> Compared:
    """Of two adapters' folders, on one base. ``StoreError`` where the shapes of what they add do not agree."""
    one, two = _Adapter(first), _Adapter(second)
    changed, alone = one.pairs.keys() | two.pairs.keys(), one.alone.keys() | two.alone.keys()
    return Compared(
        [_moved(where, one.change(where), two.change(where)) for where in sorted(changed, key=_order)],
        [_apart(where, one.alone.get(where), two.alone.get(where)) for where in sorted(alone, key=_order)],
        any(MAGNITUDE in where for where in alone),
    )


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
    """``left @ right``; both have the experts of a fused tensor first, which is one where there are none."""

    left: np.ndarray[Any, Any]
    right: np.ndarray[Any, Any]

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.left.shape[0], self.left.shape[1], self.right.shape[2]

    def inner(self, other: _Change) -> float:
        """tr((L1 R1)ᵀ(L2 R2)) = Σ (L1ᵀL2) * (R1 R2ᵀ), whose factors are as small as the ranks."""
        return float(((self.left.swapaxes(1, 2) @ other.left) * (self.right @ other.right.swapaxes(1, 2))).sum())


class _Adapter:
    """Where an adapter's tensors are: ``pairs`` by module, and those that stand ``alone``."""

    def __init__(self, folder: Path) -> None:
        path = folder / CONFIG
        self._config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        tensors = {name: found for path in sorted(folder.glob("*.safetensors")) for name, found in stored_tensors(path)}
        self.pairs: dict[str, tuple[Stored, Stored]] = {}
        paired: set[str] = set()
        for name, tensor in tensors.items():
            for a, b in PAIRS:
                stem = name.removesuffix(a)
                other = tensors.get(stem + b) if name.endswith(a) else None
                if other is not None and _fit(tensor.shape, other.shape):
                    self.pairs[stem.removeprefix(PREFIX)] = tensor, other
                    paired |= {name, stem + b}
        self.alone = {name.removeprefix(PREFIX): each for name, each in tensors.items() if name not in paired}

    def change(self, where: str) -> _Change | None:
        if where not in self.pairs:
            return None
        a, b = (tensor.read() for tensor in self.pairs[where])
        experts = _experts(self._config, where, a.shape[0])
        rank = a.shape[0] // experts
        scaled = _scale(self._config, where, rank) * b.reshape(-1, rank, experts)  # as PEFT has them: experts last
        # of an embedding both are transposed: the same norm
        return _Change(scaled.transpose(2, 0, 1), a.reshape(experts, rank, -1))


def _fit(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """A's rows and B's columns are as many; a convolution's kernel is A's, and B's is of one point."""
    return len(a) == len(b) >= 2 and b[1] == a[0] > 0 and math.prod(b[2:]) == 1


def _moved(where: str, one: _Change | None, two: _Change | None) -> Moved:
    if one is not None and two is not None and one.shape != two.shape:
        raise StoreError(f"{where} is {one.shape} in one adapter and {two.shape} in the other: they fit other bases")
    first, second = (math.sqrt(max(0.0, change.inner(change))) if change else 0.0 for change in (one, two))
    return Moved(where, first, second, one.inner(two) if one and two else 0.0)


def _apart(where: str, one: Stored | None, two: Stored | None) -> Apart:
    if one is None or two is None:
        return Apart(where, None, "second" if one is None else "first")
    if one.shape != two.shape:
        return Apart(where, None)
    pieces = zip(one.pieces(), two.pieces(), strict=True)
    return Apart(where, math.sqrt(sum(float(((x - y) ** 2).sum(dtype="float64")) for x, y in pieces)))


def _experts(config: Mapping[str, Any], path: str, rows: int) -> int:
    """How many experts A's rows are of: of a tensor that ``target_parameters`` names they have a rank each."""
    rank = int(_of_pattern(config, "rank_pattern", path) or config.get("r") or rows)
    return rows // rank if config.get("target_parameters") and rows % rank == 0 else 1


def _scale(config: Mapping[str, Any], path: str, rank: int) -> float:
    alpha = _of_pattern(config, "alpha_pattern", path) or config.get("lora_alpha") or rank
    return float(alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank)


def _of_pattern(config: Mapping[str, Any], pattern: str, path: str) -> Any:
    """What the first of a pattern's keys that fits says; None where none does."""
    known = (config.get(pattern) or {}).items()
    return next((value for key, value in known if re.fullmatch(rf"(?:.*\.)?(?:{key})", path)), None)


def _order(where: str) -> tuple[object, ...]:
    """Numbers by their size."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in where.split("."))
