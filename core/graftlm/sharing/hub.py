"""Adapters on a Hugging Face hub (the one that ``HF_ENDPOINT`` names), through huggingface_hub."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import GraftlmError, StoreError, UsageError
from graftlm.contracts.record import AdapterRecord

from .manifest import LARGEST_SMALL, check_size
from .portable import CARD, CONFIG, RECORD, TENSORS

REFERENCE = re.compile(r"hf:(?P<name>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[^@\s]+))?")
TOLD = ("chat_template.jinja", "tokenizer_config.json")
"""Beside an adapter that another tool made: they may tell its template."""
FETCHED = (CONFIG, TENSORS, RECORD, *TOLD)
OURS = frozenset((CONFIG, TENSORS, CARD, RECORD, ".gitattributes"))
LOGIN = "run 'hf auth login' or set HF_TOKEN"


@dataclass(frozen=True, slots=True)
class Repository:
    """``revision`` is a branch, a tag or a commit; empty for the main branch."""

    name: str
    revision: str = ""

    def __str__(self) -> str:
        return f"hf:{self.name}" + (f"@{self.revision}" if self.revision else "")


def repository(reference: str) -> Repository:
    match = REFERENCE.fullmatch(reference)
    if match is None:
        raise UsageError(f"{reference} names no repository of the hub: write hf:OWNER/NAME or hf:OWNER/NAME@REVISION")
    return Repository(match["name"], match["revision"] or "")


def downloaded(reference: str, into: Path) -> Path:
    """Fetch an adapter's files, and no others, into a folder, which is returned."""
    asked = repository(reference)
    with _explained(asked):
        from huggingface_hub import HfApi, snapshot_download
        from huggingface_hub.constants import HF_HUB_OFFLINE

        _quietly()
        revision = asked.revision or None
        if not HF_HUB_OFFLINE:  # sizes first: nothing large moves that would be refused
            info = HfApi().model_info(asked.name, revision=revision, files_metadata=True)
            _check_files(asked, info)
            revision = info.sha or revision  # the branch may have moved on by now, to files that nobody checked
        folder = Path(snapshot_download(asked.name, revision=revision, allow_patterns=list(FETCHED)))
    try:
        for name in FETCHED:
            if (folder / name).is_file():  # the cache holds links
                shutil.copyfile(folder / name, into / name)
    except OSError as error:
        raise StoreError(f"{into} cannot be written: {error.strerror or error}") from None
    return into


def _check_files(asked: Repository, info: Any) -> None:
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    if CONFIG not in sizes:
        raise StoreError(f"{asked} holds no adapter: it has no {CONFIG}")
    if TENSORS not in sizes:
        raise StoreError(f"{asked} has no {TENSORS}, and graftlm never reads pickles")
    for name in FETCHED:
        check_size(f"{asked}: {name}", name, sizes.get(name, 0))


def upload(to: str, folder: Path, record: AdapterRecord, *, private: bool) -> tuple[str, bool]:
    """One commit of the folder's files; where it is, and whether anything changed there.

    ``StoreError`` where the repository holds anything but older versions of this adapter, or is public and was to be
    private.
    """
    asked = repository(to)
    branch = asked.revision or "main"
    with _explained(asked):
        from huggingface_hub import HfApi

        _quietly()
        api = HfApi()
        api.create_repo(asked.name, private=private or None, exist_ok=True)
        if private and api.model_info(asked.name).private is not True:
            raise StoreError(
                f"{asked} is there already and is public, and --private makes only a new repository private: nothing "
                "was pushed; make it private on its hub page, give a new name, or leave --private out"
            )
        if asked.revision:
            api.create_branch(asked.name, branch=branch, exist_ok=True)
        info = api.model_info(asked.name, revision=branch)
        names = {file.rfilename for file in info.siblings or ()}
        _check_place(asked, names)
        if RECORD in names and _same(asked, api, folder, record, info.sha):
            return str(asked), False
        api.upload_folder(
            repo_id=asked.name,
            folder_path=folder,
            revision=branch,
            commit_message=f"{record.reference}, with graftlm {record.graftlm}",
            parent_commit=info.sha,
        )
    return str(asked), True


def _check_place(asked: Repository, names: set[str]) -> None:
    strange = sorted(names - OURS)
    if strange:
        raise StoreError(f"{asked} holds something else ({strange[0]}), and nothing of it is changed: give a new name")
    if TENSORS in names and RECORD not in names:
        raise StoreError(f"{asked} holds an adapter that graftlm did not push: give a new name")


def _same(asked: Repository, api: Any, folder: Path, record: AdapterRecord, commit: str) -> bool:
    """Whether this adapter is there already; ``StoreError`` where what is there is no older version of it."""
    path = Path(api.hf_hub_download(asked.name, RECORD, revision=commit))
    if path.stat().st_size > LARGEST_SMALL:
        raise StoreError(f"{asked} holds a {RECORD} that graftlm did not write: give a new name")
    data = path.read_bytes()
    if data == (folder / RECORD).read_bytes():
        return True
    try:
        there = json.loads(data)
        reference = (there["name"], there["version"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise StoreError(f"{asked} holds a {RECORD} that graftlm did not write: give a new name") from None
    if reference == (record.name, record.version):
        raise StoreError(
            f"{asked} is another adapter with the same name and version, and what was pushed is never changed: give "
            "yours another name there with --name, or another repository"
        )
    name, version = reference
    if name != record.name or not isinstance(version, int):
        raise StoreError(
            f"{asked} holds the adapter {str(name)[:80]!r}, which {record.name} would take the place of: give another "
            "repository"
        )
    if version > record.version:
        raise StoreError(
            f"{asked} holds {name}@{version}, which is newer than {record.reference}: push it to a branch "
            f"(hf:{asked.name}@BRANCH) or to another repository"
        )
    return False


def _quietly() -> None:
    from huggingface_hub.utils import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()


@contextmanager
def _explained(asked: Repository) -> Iterator[None]:
    """Every way in which a hub says no, as a sentence."""
    try:
        from huggingface_hub import errors
    except ImportError:
        raise UsageError(f"{asked} needs huggingface_hub (run: pip install 'graftlm[data]')") from None
    try:
        yield
        return
    except GraftlmError:
        raise
    except errors.GatedRepoError:
        why = f"{asked} is gated: accept its terms on its hub page, then {LOGIN}"
    except errors.RevisionNotFoundError:
        why = f"{asked.name} has no revision {asked.revision!r} on the hub"
    except errors.RepositoryNotFoundError:
        why = f"there is no {asked.name} on the hub, or it is private (then {LOGIN})"
    except errors.HFValidationError as error:
        why = f"{asked} cannot be a hub id: {_first_line(error)}"
    except errors.LocalTokenNotFoundError:
        why = f"the hub wants to know who writes {asked}: {LOGIN}"
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        why = f"the hub cannot be reached for {asked}: check the network"
        if isinstance(error, errors.OfflineModeIsEnabled) or "offline" in str(error).lower():
            why = f"the hub cannot be reached for {asked}: HF_HUB_OFFLINE forbids the network, so unset it"
    except errors.HfHubHTTPError as error:
        why = _refused(asked, error)
    except (errors.HTTPError, OSError) as error:
        why = f"the hub cannot be reached for {asked}: {_first_line(error)}"
    except (ValueError, KeyError) as error:
        why = f"the hub answered {asked} with what is no answer ({_first_line(error)}): check HF_ENDPOINT"
    raise StoreError(why)


def _refused(asked: Repository, error: Any) -> str:
    status = getattr(error.response, "status_code", 0)
    if status == 401:
        return f"the hub wants to know who asks for {asked}: {LOGIN}"
    if status == 403:
        return f"your token may not write to {asked}: use one with write access ({LOGIN})"
    if status in (409, 412):
        return f"somebody else changed {asked} at the same moment: push it again"
    return f"the hub refused {asked}: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
