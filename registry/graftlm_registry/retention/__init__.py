"""What comes with graftlm to measure forgetting by: texts, and prompts that have nothing to do with most data."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

HERE = Path(str(files("graftlm_registry"))) / "retention"


def retention_text(world: str = "english") -> Path:
    """Rows of texts; ``small-world`` is the world of the built-in models."""
    return HERE / f"{world}.jsonl"


def retention_prompts() -> Path:
    """Rows of prompts without answers."""
    return HERE / "prompts.jsonl"
