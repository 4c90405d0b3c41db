"""Garbage collection: what no record names goes to the trash, and out of the trash after a grace period.

It takes nothing that is being published (see ``live``), looks again after it has moved something, and needs no lock:
whoever publishes puts back what was thrown away in between, and so does the next collection.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from graftlm.contracts.errors import GraftlmError

from . import objects
from .durable import make_folder, sync_folder
from .layout import Layout, owner_is_gone
from .live import PUBLISHING, being_published, live, named
from .records import read_digest
from .versions import folders, versions

GRACE = timedelta(days=14)
ABANDONED = 7 * 86_400
"""Seconds after which something staged by an unknown process of another machine counts as left behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """``thrown`` are digests that went to the trash, ``deleted`` those that left it, ``restored`` those that a record
    names and which were put back. ``swept`` counts what dead writers left behind, ``attached`` the folders of versions
    that are gone for good. ``freed`` is in bytes; ``waiting`` are bytes in the trash that will be.
    """

    thrown: tuple[str, ...]
    deleted: tuple[str, ...]
    restored: tuple[str, ...]
    swept: int
    attached: int
    freed: int
    waiting: int


def collect(layout: Layout, grace: timedelta = GRACE, now: datetime | None = None) -> Collected:
    """One collection. ``StoreError`` where a record cannot be read: what it names would be lost."""
    now = now or datetime.now(UTC)
    for folder in (layout.objects, layout.trash, layout.staging):
        make_folder(folder)
    restored = list(_put_back(layout))
    needed = live(layout)
    thrown = [digest for digest in folders(layout.objects) if digest not in needed]
    for digest in thrown:
        with suppress(FileNotFoundError):  # another collection was faster
            objects.to_trash(layout, digest, now)
    sync_folder(layout.objects)  # before anything is deleted: nothing can be back in both places, or in none
    freed = waiting = 0
    deleted: list[str] = []
    # what is in the trash before this look was thrown there before it: whoever relied on it has said so by now
    trash = list(objects.thrown_away(layout))
    needed = live(layout)
    for path, digest, since in trash:
        if digest in needed:
            try:
                placed = objects.place(path, layout.objects / digest)  # its record came, or came back, just now
            except FileNotFoundError:
                continue  # another was faster
            if placed:
                thrown, restored = [other for other in thrown if other != digest], [*restored, digest]
                continue  # else it is there once more, and this copy is not needed
        elif now - since < grace:
            waiting += tree_bytes(path)
            continue
        size = tree_bytes(path)
        with suppress(FileNotFoundError):
            objects.delete(layout, path)
            freed, deleted = freed + size, [*deleted, digest]
    swept, bytes_swept = _sweep(layout)
    attached, bytes_attached = _attached(layout)
    return Collected(
        thrown=tuple(thrown), deleted=tuple(deleted), restored=tuple(restored), swept=swept, attached=attached,
        freed=freed + bytes_swept + bytes_attached, waiting=waiting,
    )  # fmt: skip


def _put_back(layout: Layout) -> list[str]:
    """Objects that a record names and that are not in their place: out of the trash, or of what a dead writer left."""
    lacking = [digest for digest in sorted(named(layout)) if not (layout.objects / digest).is_dir()]
    left = being_published(layout, ended=True)
    return [digest for digest in lacking if objects.from_trash(layout, digest) or _out_of(layout, digest, left)]


def _out_of(layout: Layout, digest: str, left: Mapping[str, list[Path]]) -> bool:
    """Whether a dead writer left it whole, and it is in its place now."""
    with suppress(FileNotFoundError):  # another collection was faster
        return any(
            objects.whole(copy, digest) and objects.place(copy, layout.objects / digest)
            for copy in left.get(digest, [])
        )
    return False


def _sweep(layout: Layout) -> tuple[int, int]:
    """What processes that have ended left in staging: how many, and bytes."""
    count = freed = 0
    for path in sorted(layout.staging.iterdir()):
        if not left_behind(path):
            continue
        size = tree_bytes(path)
        try:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        except OSError:
            continue
        freed += size
        count += not path.name.startswith(PUBLISHING)
    return count, freed


def left_behind(path: Path) -> bool:
    """Whether nobody will come back for something in staging."""
    gone = owner_is_gone(path.name)
    if gone is not None:
        return gone
    try:
        return time.time() - path.lstat().st_mtime > ABANDONED
    except OSError:
        return False


def _attached(layout: Layout) -> tuple[int, int]:
    """Notes and evaluations of removed versions whose files are deleted: folders, and bytes."""
    count = freed = 0
    there = {*folders(layout.objects), *(digest for _, digest, _ in objects.thrown_away(layout))}
    for name in sorted({*folders(layout.notes), *folders(layout.evaluations)}):
        known = versions(layout, name)
        for version in known.removed:
            digest = _digest(layout, name, version)
            if digest is None or digest in there or objects.find(layout, digest) is not None:
                continue
            for folder in (layout.notes / name / str(version), layout.evaluations / name / str(version)):
                if folder.is_dir():
                    freed += tree_bytes(folder)
                    objects.delete(layout, folder)
                    count += 1
    return count, freed


def _digest(layout: Layout, name: str, version: int) -> str | None:
    """What a removed version named; None where its record is damaged, or was brought back this moment."""
    with suppress(OSError, GraftlmError):
        return read_digest(layout.record(name, version), layout.version())
    return None


def tree_bytes(path: Path) -> int:
    """Bytes of the files in a folder, or of a file; another collection may be removing them."""
    if not path.is_dir():
        return _size(path)
    with suppress(FileNotFoundError):
        return sum(_size(file) for file in list(path.rglob("*")) if not file.is_dir())
    return 0


def _size(file: Path) -> int:
    with suppress(FileNotFoundError):
        return file.lstat().st_size
    return 0
