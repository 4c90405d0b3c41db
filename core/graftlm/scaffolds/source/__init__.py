"""Acme's source of models for graftlm: ``acme:NAME`` is the model NAME on a shelf of folders that a team shares."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from graftlm.api import ModelDescription, ModelError, ModelRequest, ModelSource, hookimpl, read_config

PREFIX, SHELF = "acme:", "TEAM_MODELS"
NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
SMALL = ("config.json", "generation_config.json", "tokenizer*", "*.jinja", "special_tokens_map.json")
WEIGHTS = ("*.safetensors", "*.safetensors.index.json")


def accepts(request: ModelRequest) -> bool:
    """By the reference alone: this is asked for every model, and must read no network and raise nothing."""
    return request.reference.startswith(PREFIX)


def describe(request: ModelRequest) -> ModelDescription:
    """The small files, on this machine: a plan needs the config and the tokenizer, and no weights."""
    shelf, folder = on_shelf(request), local(request)
    bring(shelf, folder, SMALL)
    return ModelDescription(name=request.reference, source="acme", folder=folder, config=read_config(folder))


def fetch(request: ModelRequest, description: ModelDescription) -> Path:
    """The weights too, when a run begins; what is there already is not brought again."""
    bring(on_shelf(request), description.folder, WEIGHTS)
    return description.folder


def on_shelf(request: ModelRequest) -> Path:
    name = request.reference.removeprefix(PREFIX)
    shelf = os.environ.get(SHELF, "")
    if not shelf:
        raise ModelError(f"{request.reference}: set {SHELF} to the folder with the team's models")
    if not NAME.fullmatch(name) or not Path(shelf, name).is_dir():
        raise ModelError(f"there is no model {name!r} in {shelf}: 'ls {shelf}' shows what there is")
    return Path(shelf, name)


def local(request: ModelRequest) -> Path:
    """``request.cache`` is a folder for what a source makes, which graftlm keeps from run to run."""
    return request.cache / "acme" / request.reference.removeprefix(PREFIX)


def bring(shelf: Path, folder: Path, patterns: Iterable[str]) -> None:
    """Each file is put into its place whole: another run may be reading it."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted({path for pattern in patterns for path in shelf.glob(pattern)}):
        target = folder / path.name
        if not target.is_file() or target.stat().st_size != path.stat().st_size:
            part = folder / f"{path.name}.{os.getpid()}"
            shutil.copyfile(path, part)
            part.replace(target)


@hookimpl
def graftlm_model_sources() -> Iterable[ModelSource]:
    # sources are asked in the order of rank: built-in 10, shape 20, folder 30, hub 40
    yield ModelSource(
        name="acme",
        summary="a model on the team's shelf (acme:NAME)",
        rank=25,
        accepts=accepts,
        describe=describe,
        fetch=fetch,
        suite="graftlm_acme.conformance:AcmeSuite",
    )
