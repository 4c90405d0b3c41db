"""A model on a Hugging Face hub (the one that ``HF_ENDPOINT`` names), through huggingface_hub."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

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
WEIGHTS = ("*.safetensors", "*.safetensors.index.json")


def accepts(request: ModelRequest) -> bool:
    return REPOSITORY.fullmatch(request.reference) is not None


def describe(request: ModelRequest) -> ModelDescription:
    """The small files only: nothing large moves until the plan stands."""
    folder = _download(request, SMALL, request.revision)
    return ModelDescription(
        name=request.reference, source="hub", folder=folder, config=read_config(folder), revision=folder.name
    )


def fetch(request: ModelRequest, description: ModelDescription) -> Path:
    folder = _download(request, (*SMALL, *WEIGHTS), description.revision)
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"{request.reference} has no *.safetensors on the hub, and graftlm never reads pickles: "
            "convert it with save_pretrained(…, safe_serialization=True) and give the folder"
        )
    return folder


def _download(request: ModelRequest, patterns: tuple[str, ...], revision: str) -> Path:
    from huggingface_hub import snapshot_download

    def download() -> str:
        folder: str = snapshot_download(
            request.reference,
            revision=revision or None,
            allow_patterns=list(patterns),
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
        why: Any = f"{name} is gated: accept its terms on its hub page, then run 'hf auth login' or set HF_TOKEN"
    except errors.RevisionNotFoundError:
        why = f"{name} has no revision {request.revision!r} on the hub"
    except errors.RepositoryNotFoundError:
        why = f"there is no model {name} on the hub, or it is private (then run 'hf auth login' or set HF_TOKEN)"
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled):
        mend = "run once without --offline" if request.offline else "check the network, or give a local folder"
        why = f"{name} is not on this machine and cannot be fetched: {mend}"
    except (errors.HfHubHTTPError, OSError) as error:
        why = f"{name} could not be fetched from the hub: {str(error).splitlines()[0] or type(error).__name__}"
    raise ModelError(why)


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
