"""A model on a Hugging Face hub (the one that ``HF_ENDPOINT`` names), through huggingface_hub."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from graftlm.api import ModelDescription, ModelError, ModelRequest, ModelSource, Requirement, hookimpl, read_config

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
SMALL = (
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "*.jinja",
    "special_tokens_map.json",
    "added_tokens.json",
)
CODE = ("*.py",)
WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
COPIES = ("*/*", "consolidated*")
"""The same weights once more, for other loaders (original/, onnx/, Mistral's own)."""


def accepts(request: ModelRequest) -> bool:
    return REPOSITORY.fullmatch(request.reference) is not None


def describe(request: ModelRequest) -> ModelDescription:
    """The small files only: nothing large moves until the plan stands."""
    folder = _download(request, _small(request), request.revision)
    names = _listed(request, folder)
    if names is not None:
        _refuse_pickles(request, names)
    return ModelDescription(
        name=request.reference, source="hub", folder=folder, config=read_config(folder), revision=folder.name
    )


def fetch(request: ModelRequest, description: ModelDescription) -> Path:
    folder = _download(request, (*_small(request), *WEIGHTS), description.revision)
    _refuse_pickles(request, [path.name for path in folder.iterdir()])
    return folder


def _small(request: ModelRequest) -> tuple[str, ...]:
    return (*SMALL, *CODE) if request.code else SMALL


def _listed(request: ModelRequest, folder: Path) -> list[str] | None:
    """The names of all files of the repository, as the download kept them (an old cache has none)."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        return [file.path for file in get_cached_repo_tree(request.reference, revision=folder.name)]
    except CachedRepoTreeNotFoundError:
        return None


def _refuse_pickles(request: ModelRequest, names: Iterable[str]) -> None:
    if not any(name.endswith(".safetensors") and "/" not in name for name in names):
        raise ModelError(
            f"{request.reference} has no *.safetensors on the hub, and graftlm never reads pickles: "
            "convert it with save_pretrained(…, safe_serialization=True) and give the folder"
        )


def _download(request: ModelRequest, patterns: tuple[str, ...], revision: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()

    def download() -> str:
        folder: str = snapshot_download(
            request.reference,
            revision=revision or None,
            allow_patterns=list(patterns),
            ignore_patterns=list(COPIES),
            local_files_only=request.offline,
        )
        return folder

    return Path(_explained(request, download))


def _explained(request: ModelRequest, download: Callable[[], str]) -> str:
    """Every way in which a hub says no, as a sentence."""
    from huggingface_hub import errors

    name = request.reference
    try:
        return download()
    except errors.GatedRepoError:
        why = f"{name} is gated: accept its terms on its hub page, then run 'hf auth login' or set HF_TOKEN"
    except errors.RevisionNotFoundError:
        why = f"{name} has no revision {request.revision!r} on the hub"
    except errors.RepositoryNotFoundError:
        why = f"there is no model {name} on the hub, or it is private (then run 'hf auth login' or set HF_TOKEN)"
    except errors.HFValidationError as error:
        why = f"{name} cannot be a hub id: {_first_line(error)}"
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        why = f"{name} is not on this machine and cannot be fetched: "
        if request.offline:
            why += "run once without --offline"
        elif isinstance(error.__cause__, errors.HfHubHTTPError):
            why = f"{name} could not be fetched from the hub: {_first_line(error.__cause__)}"
        elif isinstance(error.__cause__ or error, errors.OfflineModeIsEnabled):
            why += "HF_HUB_OFFLINE forbids the network, so unset it, or give a local folder"
        else:
            why += "check the network, or give a local folder"
    except (errors.HTTPError, OSError) as error:
        why = f"{name} could not be fetched from the hub: {_first_line(error)}"
    except ValueError:
        why = f"{name} could not be fetched from the hub: what answers is not a hub (check HF_ENDPOINT and the network)"
    raise ModelError(why)


def _first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


@hookimpl
def graftlm_model_sources() -> Iterable[ModelSource]:
    yield ModelSource(
        name="hub",
        summary="a model on a Hugging Face hub (OWNER/NAME)",
        rank=40,
        accepts=accepts,
        describe=describe,
        fetch=fetch,
        requires=(Requirement(distribution="huggingface-hub", extra="peft"),),
    )
