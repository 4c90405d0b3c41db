"""Versions of the packages that belong to a result."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

WATCHED = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "trl",
    "unsloth",
    "unsloth_zoo",
    "flash-attn",
    "flash-attn-3",
    "liger-kernel",
    "kernels",
    "tokenizers",
    "safetensors",
    "bitsandbytes",
    "torchao",
    "triton",
    "numpy",
)


def versions() -> dict[str, str]:
    """Installed versions of what is watched."""
    found = {}
    for name in WATCHED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
