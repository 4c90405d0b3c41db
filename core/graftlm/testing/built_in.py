"""What the plugins that come with graftlm need to be judged, so that ``graftlm plugins check`` asks all of it.

A plugin of another distribution says so in a suite of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Fixtures = Mapping[str, Any]

EIGHT_BITS: Fixtures = {"options": {"min_8bit_size": 1}, "others": {"min_8bit_size": 100_000}}
"""Tiny models have no tensor of 4,096 parameters, which is where eight bits begin."""
OPTIMIZERS: Mapping[str, Fixtures] = {
    "adamw": {"learning_rate": 3e-3, "dtypes": ("fp32", "bf16")},
    "adamw-8bit": {"learning_rate": 3e-3, **EIGHT_BITS},
    "paged-adamw": {"learning_rate": 3e-3},
    "paged-adamw-8bit": {"learning_rate": 3e-3, **EIGHT_BITS},
    "adafactor": {"learning_rate": 3e-3},
    "lion": {"learning_rate": 1e-3},
    "lion-8bit": {"learning_rate": 1e-3, **EIGHT_BITS},
    "sgd": {"learning_rate": 0.1},
}
METHODS: Mapping[str, Fixtures] = {
    "full": {"learning_rate": 1e-3},
    "freeze": {"learning_rate": 1e-3},
    # what a model of 128 dimensions needs
    "c3a": {"options": {"block_size": 32}},
    "fourierft": {"options": {"n_frequency": 50}},
    "trainable_tokens": {"options": {"token_indices": (5, 6, 30)}},
    "unilora": {"options": {"theta_d_length": 64}},
    "vblora": {"options": {"vector_length": 32, "num_vectors": 16}},
    "waveft": {"options": {"n_frequency": 50}},
    "glora": {"models": ("tiny-mistral", "tiny-qwen", "tiny-glm")},  # Falcon's linear layers are a class of its own
}


def fixtures(kind: str, name: str) -> Fixtures:
    """Attributes of a suite, for a plugin that comes with graftlm."""
    if kind == "method":  # what most of them learn tiny things with
        return {"learning_rate": 1e-2, **METHODS.get(name, {})}
    return OPTIMIZERS.get(name, {}) if kind == "optimizer" else {}
