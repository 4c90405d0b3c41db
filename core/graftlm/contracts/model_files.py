"""Reading a model folder's small files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .errors import ModelError


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a model folder; ``ModelError`` where there is none that can be read."""
    import json

    path = folder / "config.json"
    if not path.is_file():
        raise ModelError(f"{folder} has no config.json, so it is not a model folder (is it an adapter, or its parent?)")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(config, dict):
        raise ModelError(f"{path} does not hold a JSON object")
    return config
