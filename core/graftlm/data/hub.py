"""Data sets on a Hugging Face hub (the one that ``HF_ENDPOINT`` names), through huggingface_hub.

The files' names and the README come first; then the files of one split, and nothing else. No script is ever run.
"""

from __future__ import annotations

import glob
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from graftlm.contracts.errors import DataError, UsageError

from .containers import is_data, kind_of
from .hub_card import Subset, default_subset, matching, subsets
from .split_names import by_split

REFERENCE = re.compile(
    r"hf:(?P<name>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)"
    r"(?:/(?P<file>.+)|(?:@(?P<revision>[^:]+))?(?::(?P<subset>.+))?)"
)
CONVERTED = "refs/convert/parquet"
"""The branch where the hub keeps its own Parquet copy of a data set, a folder for each subset."""


@dataclass(frozen=True, slots=True)
class Request:
    """A data set as the user names it. ``file`` is a path or a pattern in its repository."""

    name: str
    revision: str
    subset: str
    file: str
    offline: bool


def fetch(reference: str, *, split: str, offline: bool) -> list[tuple[str, Path]]:
    """The files of a split on this machine, each with its name (``OWNER/NAME/FILE``)."""
    match = REFERENCE.fullmatch(reference)
    if match is None:
        raise UsageError(
            f"{reference} names no data set: write hf:OWNER/NAME, hf:OWNER/NAME@REVISION, hf:OWNER/NAME:SUBSET or "
            "hf:OWNER/NAME/FILE"
        )
    parts = {key: value or "" for key, value in match.groupdict().items()}
    request = Request(parts["name"], parts["revision"], parts["subset"], parts["file"], offline)
    folder = _download(request, ["README.md"], request.revision)
    names = _listed(request, folder)
    chosen = _chosen(request, names, folder, split)
    _download(request, [glob.escape(name) for name in chosen], folder.name)
    for name in chosen:
        if not (folder / name).is_file():
            raise DataError(f"{request.name} is not whole on this machine ({name} lacks): run once without --offline")
    return [(f"{request.name}/{name}", folder / name) for name in chosen]


def _chosen(request: Request, names: Sequence[str], folder: Path, split: str) -> list[str]:
    """The files to fetch, in the order of their names."""
    here = f"hf:{request.name}"
    if request.file:
        found = [name for name in names if matching(request.file, name)]
        if not found:
            raise DataError(f"{here} has no file {request.file}")
        return _known(found, f"{here}/{request.file}")
    readme = folder / "README.md"
    card = readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else ""
    described = subsets(card, here)
    if not described:
        return _by_convention(request, names, split)
    subset = _subset(request, described)
    if not subset.splits:
        root = f"{subset.folder}/" if subset.folder else ""
        return _by_convention(request, names, split, root)
    if split not in subset.splits:
        raise DataError(f"{here} has no split '{split}': it has {', '.join(subset.splits)} (choose with --split)")
    patterns = subset.splits[split]
    found = [name for name in names if any(matching(pattern, name) for pattern in patterns)]
    if not found:
        raise DataError(f"{here} says that split '{split}' is in {', '.join(patterns)}, and has no such file")
    return _known(found, f"split '{split}' of {here}")


def _subset(request: Request, described: Sequence[Subset]) -> Subset:
    named = ", ".join(subset.name for subset in described)
    if request.subset:
        for subset in described:
            if subset.name == request.subset:
                return subset
        raise DataError(f"hf:{request.name} has no subset '{request.subset}': it has {named}")
    chosen = default_subset(described)
    if chosen is None:
        raise DataError(
            f"hf:{request.name} has several subsets ({named}): choose one, as in hf:{request.name}:{described[0].name}"
        )
    return chosen


def _by_convention(request: Request, names: Sequence[str], split: str, root: str = "") -> list[str]:
    """By the names of files and folders below ``root``, where the README describes none."""
    here = f"hf:{request.name}"
    files = [name for name in names if _is_data(name)]
    if not files:
        if any(name.endswith(".py") for name in names):
            raise DataError(
                f"{here} is read by a script, which graftlm never runs: try the hub's own copy, {here}@{CONVERTED}"
            )
        raise DataError(f"{here} has no data file that graftlm reads")
    folders = sorted({name.partition("/")[0] for name in files if "/" in name})
    if request.subset and not root:
        root = f"{request.subset}/"
        if not any(name.startswith(root) for name in files):
            raise DataError(f"{here} has no subset '{request.subset}': it describes none, and has no such folder")
    elif request.revision == CONVERTED and len(folders) > 1:
        raise DataError(
            f"{here} has several subsets ({', '.join(folders)}): choose one, as in {here}@{CONVERTED}:{folders[0]}"
        )
    splits = by_split([name.removeprefix(root) for name in files if name.startswith(root)])
    if split not in splits:
        raise DataError(f"{here} has no split '{split}': it has {', '.join(splits)} (choose with --split)")
    kinds: dict[str, str] = {}
    for name in splits[split]:
        kind = kind_of(PurePosixPath(name))
        kinds.setdefault(kind.content if kind else "", name)
    if len(kinds) > 1:
        raise DataError(
            f"{here} has files of several kinds for split '{split}' ({', '.join(kinds.values())}): choose with "
            f"{here}/FILE"
        )
    return [root + name for name in splits[split]]


def _is_data(name: str) -> bool:
    path = PurePosixPath(name)
    return is_data(path) and not any(part.startswith((".", "_")) for part in path.parts)


def _known(names: list[str], what: str) -> list[str]:
    known = [name for name in names if kind_of(PurePosixPath(name)) is not None]
    if not known:
        raise DataError(f"{what} is in files of no kind that graftlm reads ({', '.join(names[:3])})")
    return known


def _listed(request: Request, folder: Path) -> list[str]:
    """The names of all files of the repository, as the download kept them; of those at hand, where it kept none."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        tree = get_cached_repo_tree(request.name, repo_type="dataset", revision=folder.name)
    except CachedRepoTreeNotFoundError:
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(file.path for file in tree)


def _download(request: Request, patterns: list[str], revision: str) -> Path:
    """The folder of the data set's files; its name is the commit."""
    try:
        from huggingface_hub import errors, snapshot_download
        from huggingface_hub.utils import disable_progress_bars
    except ImportError:
        raise DataError(f"hf:{request.name} needs huggingface_hub (run: pip install 'graftlm[data]')") from None

    if not sys.stderr.isatty():
        disable_progress_bars()
    name = request.name
    unfetched = f"data set {name} could not be fetched from the hub: "
    try:
        return Path(
            snapshot_download(
                name,
                repo_type="dataset",
                revision=revision or None,
                allow_patterns=patterns,
                local_files_only=request.offline,
            )
        )
    except errors.GatedRepoError:
        why = f"data set {name} is gated: accept its terms on its hub page, then run 'hf auth login' or set HF_TOKEN"
    except errors.RevisionNotFoundError:
        why = f"data set {name} has no revision {revision!r} on the hub"
    except errors.RepositoryNotFoundError:
        why = f"there is no data set {name} on the hub, or it is private (then run 'hf auth login' or set HF_TOKEN)"
    except errors.HFValidationError as error:
        why = f"{name} cannot be a hub id: {_first_line(error)}"
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        why = f"data set {name} is not on this machine and cannot be fetched: "
        if request.offline:
            why += "run once without --offline"
        elif isinstance(error.__cause__, errors.HfHubHTTPError):
            why = unfetched + _first_line(error.__cause__)
        elif isinstance(error.__cause__ or error, errors.OfflineModeIsEnabled):
            why += "HF_HUB_OFFLINE forbids the network, so unset it, or give a file"
        else:
            why += "check the network, or give a file"
    except (errors.HTTPError, OSError) as error:
        why = unfetched + _first_line(error)
    except ValueError:
        why = f"{unfetched}what answers is not a hub (check HF_ENDPOINT and the network)"
    raise DataError(why)


def _first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
