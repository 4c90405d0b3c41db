"""The versions of a name, as its folder lists them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .layout import Layout


@dataclass(frozen=True, slots=True)
class Versions:
    """Numbers, each list sorted. ``last`` is the highest that was ever given."""

    kept: list[int]
    removed: list[int]
    last: int


def names(layout: Layout) -> list[str]:
    """Names that have a version, sorted."""
    return [name for name in folders(layout.adapters) if versions(layout, name).kept]


def folders(path: Path) -> list[str]:
    """The names of the folders in a folder, sorted."""
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def versions(layout: Layout, name: str) -> Versions:
    """None of each for a name that is not there."""
    kept, removed, last = [], [], 0
    try:
        with os.scandir(layout.adapters / name) as entries:  # a Path for each of 10,000 would take ten times as long
            files = [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return Versions([], [], 0)
    for file in files:
        number, _, rest = file.partition(".")
        if not number.isdecimal() or not number.isascii():
            continue
        last = max(last, int(number))
        if rest == "json":
            kept.append(int(number))
        elif rest == "removed.json":
            removed.append(int(number))
    return Versions(sorted(kept), sorted(removed), last)
