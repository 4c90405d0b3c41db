"""The versions of a name, as its folder lists them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .durable import CLAIM
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
            return sorted(entry.name for entry in entries if entry.is_dir())  # or a link to one that was moved away
    except FileNotFoundError:
        return []


def versions(layout: Layout, name: str) -> Versions:
    """None of each for a name that is not there."""
    try:
        files = os.listdir(layout.adapters / name)  # noqa: PTH208 - a Path for each of 10,000 takes ten times as long
    except (FileNotFoundError, NotADirectoryError):
        return Versions([], [], 0)
    known, removed = _numbers(files, ".json"), _numbers(files, ".removed.json")
    burnt = _numbers(files, f".json{CLAIM}") if len(known) + len(removed) < len(files) else []
    last = max((numbers[-1] for numbers in (known, removed, burnt) if numbers), default=0)
    if removed:
        gone = set(removed)
        known = [number for number in known if number not in gone]
    return Versions(known, removed, last)


def _numbers(files: list[str], end: str) -> list[int]:
    stems = [file[: -len(end)] for file in files if file.endswith(end)]
    return sorted(int(stem) for stem in stems if stem.isdecimal() and stem.isascii())


def given(layout: Layout, name: str, number: int) -> bool:
    """Whether a number was ever given."""
    record = layout.record(name, number)
    return os.path.lexists(record) or os.path.lexists(f"{record}{CLAIM}")


def highest(layout: Layout, name: str) -> int:
    """The highest number that was ever given, or 0. Numbers have no gaps, so a few looks tell it, however many there
    are; where somebody made a gap by hand, it may be the one below that.
    """
    below, above = 0, 1
    while given(layout, name, above):
        below, above = above, 2 * above
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (middle, above) if given(layout, name, middle) else (below, middle)
    return below
