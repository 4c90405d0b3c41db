"""From what a user gives as data to files: a file, a folder, a glob, standard input, or a data set of the hub."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from graftlm.contracts.errors import DataError, UsageError

from .containers import is_data, kind_of
from .containers.kinds import endings
from .split_names import KEYWORDS, by_keyword

STANDARD_INPUT = "-"
HUB = "hf:"


@dataclass(frozen=True, slots=True)
class DataFile:
    """``label`` is what the user sees as the file's name."""

    path: Path
    label: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """``reference`` is what the user gave."""

    reference: str
    files: tuple[DataFile, ...]


def find(data: str, *, split: str = "", offline: bool = False, spool: Path) -> Inputs:
    """The files of ``data``, at least one, in the order in which they are read.

    Standard input (``-``) is kept in the folder ``spool``, and a data set of the hub (``hf:OWNER/NAME``, of which
    ``split`` chooses a split, ``train`` by itself) in the hub's cache. Raises ``DataError`` where there is nothing,
    ``UsageError`` for what cannot be meant.
    """
    if not data:
        raise UsageError("no data was named: give a file, a folder, a glob, '-' or hf:OWNER/NAME")
    if data.startswith(HUB):
        from .hub import fetch

        found = fetch(data, split=split or "train", offline=offline)
        return Inputs(data, tuple(DataFile(path, f"{HUB}{name}") for name, path in found))
    if split:
        raise UsageError(f"--split chooses a split of a data set of the hub (hf:OWNER/NAME), and {data} is none")
    if data == STANDARD_INPUT:
        from .standard_input import LABEL, kept

        return Inputs(data, (DataFile(kept(spool), LABEL),))
    try:
        return Inputs(data, tuple(DataFile(path, str(path)) for path in _local(data)))
    except OSError as error:
        raise DataError(f"{error.filename or data} cannot be read: {error.strerror}") from None


def folder_splits(data: str) -> dict[str, str] | None:
    """The reference of each split of a folder whose files, or folders, are named by split: ``train`` and at least one
    of ``validation`` and ``test``. None for anything else. Files that tell no split are in none of them.
    """
    if data.startswith(HUB) or data == STANDARD_INPUT or not data:
        return None
    root = Path(data).expanduser()
    try:
        if not root.is_dir():
            return None
        names = [path.relative_to(root).as_posix() for path in _in_folder(root)]
    except OSError as error:
        raise DataError(f"{error.filename or data} cannot be read: {error.strerror}") from None
    splits = by_keyword(names)
    if "train" not in splits or len(splits) < 2:
        return None
    return {split: _reference(root, split, splits[split]) for split in KEYWORDS if split in splits}


def _reference(root: Path, split: str, names: list[str]) -> str:
    """A path or a glob that gives exactly these files."""
    wanted = {root / name for name in names}
    if len(names) == 1:
        return str(root / names[0])
    before, after = _beginning(names), _beginning([name[::-1] for name in names])[::-1]
    folder = before.rpartition("/")[0]
    start = glob.escape(str(root))
    references = [
        f"{start}/{glob.escape(before)}*{glob.escape(after)}",
        f"{start}/{glob.escape(before)}*",
        f"{start}/**/*{glob.escape(after)}",
    ]
    for reference in [str(root / folder), *references] if folder else references:
        try:
            if set(_local(reference)) == wanted:
                return reference
        except DataError:
            continue
    raise DataError(
        f"the {len(names)} files of the split '{split}' in {root} cannot be named by one pattern: "
        f"put them into a folder '{split}' there"
    )


def _beginning(names: list[str]) -> str:
    """What all names begin with."""
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(min(names), max(names), strict=False))
    return "".join(character for character, _ in alike)


def _local(data: str) -> list[Path]:
    path = Path(data).expanduser()
    if path.is_dir():
        if found := _in_folder(path):
            return found
        raise DataError(f"the folder {data} holds no data file ({endings()})")
    if path.is_file():
        if kind_of(path) is None:
            raise DataError(f"{data} is of no known kind: give a file that ends in {endings()}")
        return [path]
    if path.exists():
        raise DataError(f"{data} is no regular file: pipe it in, and give '-' as the data")
    if not glob.has_magic(data):
        raise DataError(f"there is no data file {data}")
    matches = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207  # Path.glob takes no absolute pattern
    if found := [match for match in dict.fromkeys(matches) if is_data(match) and match.is_file()]:
        return found
    if any(match.is_file() for match in matches):
        raise DataError(f"no file that {data} matches is of a known kind ({endings()})")
    raise DataError(f"no file matches {data}")


def _in_folder(folder: Path) -> list[Path]:
    """All data files below it, in the order of their paths; what begins with a dot or an underscore is left out."""

    def refuse(error: OSError) -> None:
        raise error

    found = []
    for at, below, names in os.walk(folder, onerror=refuse):
        below[:] = [name for name in below if not name.startswith((".", "_"))]
        found += [path for name in names if is_data(path := Path(at, name)) and path.is_file()]
    return sorted(found)
