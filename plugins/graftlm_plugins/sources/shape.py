"""``shape:NAME``: a known architecture with random weights, for measuring."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from graftlm.api import ModelDescription, ModelRequest, ModelSource, hookimpl

PREFIX = "shape:"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def accepts(request: ModelRequest) -> bool:
    return request.reference.startswith(PREFIX)


def describe(request: ModelRequest) -> ModelDescription:
    """Lays out a folder with the config and a tokenizer; the worker draws the weights into it when they are needed."""
    import hashlib
    import json

    entry = request.catalogue.entry(request.reference.removeprefix(PREFIX))
    text = json.dumps(dict(entry.config), sort_keys=True, indent=2)
    folder = request.cache / "shapes" / f"{entry.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    _lay(folder / "config.json", (text + "\n").encode())
    for name in TOKENIZER_FILES:
        _lay(folder / name, (entry.tokenizer / name).read_bytes())
    return ModelDescription(
        name=f"{PREFIX}{entry.name}", source="shape", folder=folder, config=entry.config, weights="random"
    )


def _lay(path: Path, content: bytes) -> None:
    """Another run may be reading the file: it is replaced as a whole, and only where it differs."""
    import os

    if not path.is_file() or path.read_bytes() != content:
        part = path.with_name(f"{path.name}.{os.getpid()}")
        part.write_bytes(content)
        part.replace(path)


def fetch(request: ModelRequest, description: ModelDescription) -> Path:
    return description.folder


@hookimpl
def graftlm_model_sources() -> Iterable[ModelSource]:
    yield ModelSource(
        name="shape",
        summary="a known architecture with random weights (shape:NAME)",
        rank=20,
        accepts=accepts,
        describe=describe,
        fetch=fetch,
    )
