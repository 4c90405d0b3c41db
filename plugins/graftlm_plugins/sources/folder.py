"""A model in a local folder, as ``save_pretrained`` writes it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from graftlm.api import ModelDescription, ModelError, ModelRequest, ModelSource, hookimpl, read_config

PICKLES = ("pytorch_model.bin", "model.bin", "model.pt", "model.pth")


def accepts(request: ModelRequest) -> bool:
    reference = request.reference
    try:
        return reference.startswith((".", "/", "~")) or Path(reference).is_dir()
    except OSError:  # no file system takes such a name
        return False


def describe(request: ModelRequest) -> ModelDescription:
    try:
        folder = Path(request.reference).expanduser()
    except RuntimeError:
        raise ModelError(f"there is no model folder {request.reference}: that user has no home here") from None
    if not folder.is_dir():
        raise ModelError(f"there is no model folder {folder}")
    folder = folder.resolve()
    config = read_config(folder)
    if (folder / "adapter_config.json").exists():
        raise ModelError(
            f"{folder} holds an adapter beside the model, which would be loaded with it: move it elsewhere"
        )
    if not any(folder.glob("*.safetensors")):
        pickled = [name for name in PICKLES if (folder / name).is_file()]
        what = f"only {pickled[0]}, a pickle, which graftlm never reads" if pickled else "no *.safetensors"
        raise ModelError(f"{folder} holds {what}: save the model with save_pretrained(…, safe_serialization=True)")
    return ModelDescription(name=folder.name, source="folder", folder=folder, config=config)


def fetch(request: ModelRequest, description: ModelDescription) -> Path:
    return description.folder


@hookimpl
def graftlm_model_sources() -> Iterable[ModelSource]:
    yield ModelSource(name="folder", summary="a local folder", rank=30, accepts=accepts, describe=describe, fetch=fetch)
