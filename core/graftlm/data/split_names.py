"""Which split a file belongs to, by its name or its folder's, as the hub documents it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "evaluation", "eval"),
}
SHARD = re.compile(r"data/(?P<split>[^/]+)-\d{5}-of-\d{5}[^/]*\.[^/]*")
"""What ``push_to_hub`` writes: the split may have any name."""
_apart = r"[-._ 0-9]"
_words = {
    split: re.compile(rf"(?:^|{_apart})(?:{'|'.join(words)})(?:{_apart}|$)", re.IGNORECASE)
    for split, words in KEYWORDS.items()
}


def by_split(paths: Sequence[str]) -> dict[str, list[str]]:
    """Files (with ``/``, relative to their root) by split: as shards, else by folder, else by name, else all ``train``.

    Where some files tell a split, those that tell none belong to none.
    """
    return _grouped(paths, _of_shard) or by_keyword(paths) or ({"train": list(paths)} if paths else {})


def by_keyword(paths: Sequence[str]) -> dict[str, list[str]]:
    """The same by folder, else by name, alone."""
    return _grouped(paths, _of_folder) or _grouped(paths, _of_name)


def _grouped(paths: Sequence[str], split_of: Callable[[str], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in paths:
        if split := split_of(path):
            found.setdefault(split, []).append(path)
    return {split: found[split] for split in dict.fromkeys([*KEYWORDS, *found]) if split in found}


def _of_shard(path: str) -> str:
    match = SHARD.fullmatch(path)
    return match["split"] if match else ""


def _of_folder(path: str) -> str:
    """The innermost folder that bears a split's name decides."""
    return next((split for part in reversed(path.split("/")[:-1]) if (split := _named(part))), "")


def _of_name(path: str) -> str:
    return _named(path.rpartition("/")[2])


def _named(part: str) -> str:
    """The split whose word comes first."""
    found = {split: match.start() for split, words in _words.items() if (match := words.search(part))}
    return min(found, key=lambda split: found[split]) if found else ""
