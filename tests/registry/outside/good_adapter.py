"""A sound adapter, by hand, and the ways in which the corpus spoils one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
LAYER = "base_model.model.model.layers.{}.self_attn.{}.lora_{}.weight"
GOOD: Mapping[str, Any] = {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "base_model_name_or_path": "tiny-mistral",
    "r": 4,
    "lora_alpha": 8,
    "lora_dropout": 0.0,
    "bias": "none",
    "target_modules": ["q_proj", "v_proj"],
    "inference_mode": True,
}
EVIL = "evil_module_of_the_corpus"
"""A module that leaves a canary when it is imported."""


@dataclass(frozen=True)
class Case:
    """A hostile source: ``build`` makes it in a folder and returns it; ``says`` is in what graftlm answers."""

    name: str
    build: Callable[[Path], Path]
    says: str


def names() -> list[str]:
    return [LAYER.format(0, module, side) for module in ("q_proj", "v_proj") for side in "AB"]


def header_of(tensors: Mapping[str, Any], dtype: str = "F32") -> dict[str, Any]:
    """As safetensors writes it, for arrays of one type."""
    made, at = {}, 0
    for name, tensor in tensors.items():
        made[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    return made


def tensors() -> dict[str, Any]:
    draw = np.random.default_rng(0)
    return {name: draw.standard_normal((4, 8) if "lora_A" in name else (8, 4), dtype=np.float32) for name in names()}


def safetensors(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def good_weights() -> bytes:
    made = tensors()
    return safetensors(header_of(made), b"".join(tensor.tobytes() for tensor in made.values()))


def write(folder: Path, *, config: Any = GOOD, weights: bytes | None = None) -> Path:
    """An adapter's folder; its configuration is given as an object or as bytes."""
    folder = folder / "adapter"
    folder.mkdir(parents=True)
    (folder / CONFIG).write_bytes(config if isinstance(config, bytes) else json.dumps(dict(config)).encode())
    (folder / WEIGHTS).write_bytes(good_weights() if weights is None else weights)
    return folder


def files() -> dict[str, bytes]:
    """The two files of a sound adapter."""
    return {CONFIG: json.dumps(dict(GOOD)).encode(), WEIGHTS: good_weights()}
