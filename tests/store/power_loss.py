"""What a power loss could leave, by the strictest reading of POSIX: only what was synced is sure to be there.

A file's bytes are sure once the file is synced after its last write; a name in a folder once the folder is synced after
the name was made. Of everything else, any part may or may not be there. So whatever can be seen must be sure.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from os_calls import Call, Left, watched

from graftlm_registry.adapters.content import MANIFEST
from graftlm_registry.adapters.layout import LAYOUT, Layout
from graftlm_registry.adapters.records import read_digest
from graftlm_registry.adapters.sealed import is_sealed

SEEN = ("rename", "replace", "link", "unlink", "rmdir", "mkdir")
"""Calls after which something else is to be seen."""

_real_open, _real_os_open = io.open, os.open


class NotSure(AssertionError):
    """A power loss at this moment could lose something."""


@dataclass
class Disk:
    """The sure part of a folder's contents. All of it, where nothing else is said."""

    root: Path
    bytes: dict[int, str] = field(default_factory=dict)
    names: dict[int, dict[str, int]] = field(default_factory=dict)
    syncs: list[tuple[str, bool]] = field(default_factory=list)
    """Of each fsync, what was synced, and whether that made anything sure that was not."""
    looking: bool = False
    """While the checker itself reads."""

    def all_is_sure(self) -> None:
        for folder in (self.root.parent, *self._folders(self.root)):
            self.names[folder.stat().st_ino] = _names(folder)
            for path in folder.iterdir():
                if path.is_file():
                    self.bytes[path.stat().st_ino] = _digest(path)

    def _folders(self, root: Path) -> list[Path]:
        return [root, *(path for path in root.rglob("*") if path.is_dir())] if root.exists() else []

    def synced(self, descriptor: int) -> None:
        its, path = os.fstat(descriptor), Path(f"/proc/self/fd/{descriptor}").readlink()
        if not path.is_relative_to(self.root.parent):
            self.syncs.append((str(path), False))
        elif stat.S_ISDIR(its.st_mode):
            now = _names(path)
            self.syncs.append((str(path), self.names.get(its.st_ino) != now))
            self.names[its.st_ino] = now
        else:
            now_bytes = _digest(Path(f"/proc/self/fd/{descriptor}"))
            self.syncs.append((str(path), self.bytes.get(its.st_ino) != now_bytes))
            self.bytes[its.st_ino] = now_bytes

    def made(self, folder: Path) -> None:
        """An inode's number may have been another's."""
        self.names.pop(folder.stat().st_ino, None)

    # What is sure

    def sure_name(self, path: Path) -> bool:
        """Every name on the way from the folder above the store."""
        while path != self.root.parent:
            if self.names.get(path.parent.stat().st_ino, {}).get(path.name) != path.stat().st_ino:
                return False
            path = path.parent
        return True

    def sure_bytes(self, path: Path) -> bool:
        return self.bytes.get(path.stat().st_ino) == _digest(path)

    def sure_folder(self, folder: Path) -> bool:
        """What is in a flat folder; not the folder's own name. A manifest is needed from layout 2 on."""
        sure, now = dict(self.names.get(folder.stat().st_ino, {})), _names(folder)
        if Layout(self.root).version() < LAYOUT:
            sure.pop(MANIFEST, None), now.pop(MANIFEST, None)
        return sure == now and all(map(self.sure_bytes, folder.iterdir()))

    # What must be

    def look(self, when: str) -> None:
        """Nothing can be seen that is not sure, nor anything that it needs."""
        layout = Layout(self.root)
        for file in _files(layout):
            self._demand(self.sure_bytes(file), f"{file} is to be seen, and its bytes are not sure", when)
        for folder in _kept(layout):
            self._demand(self.sure_folder(folder), f"{folder} is to be seen, and its files are not sure", when)
        for record in layout.adapters.glob("*/*.json"):
            removed = record.with_name(f"{record.stem}.removed.json")
            if not record.name.endswith(".removed.json") and not removed.exists():
                self._needed(layout, record, when)
        self._half_deleted(layout, when)
        self._migrated(layout, when)

    def _needed(self, layout: Layout, record: Path, when: str) -> None:
        digest = read_digest(record, 2 if is_sealed(record.read_bytes()) else 1)
        here = {place.stat().st_ino: place for place in (*layout.objects.glob("*"), *layout.trash.glob("*"))}
        # a rename happens as a whole or not at all: what has just been moved is sure where it was
        named = {
            inode
            for parent in (layout.objects, layout.trash)
            if parent.exists() and self.sure_name(parent)
            for name, inode in self.names.get(parent.stat().st_ino, {}).items()
            if name.partition(".")[0] == digest
        }
        sure = [here[inode] for inode in named & here.keys() if self.sure_folder(here[inode])]
        self._demand(bool(sure), f"{record} is to be seen, and the files that it names are not sure", when)

    def _half_deleted(self, layout: Layout, when: str) -> None:
        """What is being deleted could be back under its old name: it must not be back half."""
        here = {path.stat().st_ino: path for path in self._folders(self.root)}
        for parent in (
            layout.objects,
            layout.trash,
            *layout.evaluations.glob("*"),
            *layout.evaluations.glob("*/*"),
            *layout.notes.glob("*"),
        ):
            if not parent.exists():
                continue
            for name, inode in self.names.get(parent.stat().st_ino, {}).items():
                where = here.get(inode)
                if where is None or not self.names.get(inode, {}).items() <= _names(where).items():
                    raise NotSure(f"{when}: {parent / name} could be back, with a part of its files")

    def _migrated(self, layout: Layout, when: str) -> None:
        if not layout.version_file.exists() or layout.version() < LAYOUT:
            return
        for path in (*layout.adapters.glob("*/*.json"), *layout.objects.glob("*/manifest.json"), layout.version_file):
            if path == layout.version_file:
                continue
            sure = self.names.get(path.parent.stat().st_ino, {}).get(path.name) == path.stat().st_ino
            # a record that is new is to be seen before its name is sure; one that took another's place is not
            known = path.name in self.names.get(path.parent.stat().st_ino, {})
            self._demand(sure or not known, f"{path} could be back as it was in the layout before", when)

    def look_at_the_end(self) -> None:
        """What was reported as done stays done."""
        self.look("at the end")
        layout = Layout(self.root)
        for path in (*_files(layout), *_kept(layout)):
            self._demand(self.sure_name(path), f"{path} could be gone again", "at the end")
        for parent in (*layout.adapters.glob("*"), *layout.tags.glob("*"), *layout.notes.glob("*/*")):
            gone = set(self.names.get(parent.stat().st_ino, {})) - set(_names(parent))
            self._demand(not gone, f"{parent / ''.join(sorted(gone)[:1])} could be back again", "at the end")

    def _demand(self, sure: bool, what: str, when: str) -> None:
        if not sure:
            raise NotSure(f"{when}: {what}")


@contextmanager
def watching(disk: Disk, *, leave_out: Callable[[int], bool] = lambda number: False) -> Iterator[None]:
    """Follow what is done; the fsyncs whose number (from 1) is to be left out do nothing."""
    count = 0

    def before(call: Call) -> None:
        nonlocal count
        if call.name == "fsync":
            count += 1
            if leave_out(count):
                disk.syncs.append(("", False))
                raise Left

    def after(call: Call) -> None:
        if disk.looking:
            return
        disk.looking = True
        try:
            if call.name == "fsync":
                disk.synced(call.arguments[0])
            elif call.name == "mkdir" and Path(call.arguments[0]).is_dir() and not _names(Path(call.arguments[0])):
                disk.made(Path(call.arguments[0]))
            if call.name in SEEN:
                disk.look(str(call))
        finally:
            disk.looking = False

    with watched(before, after):
        yield


def _names(folder: Path) -> dict[str, int]:
    return {entry.name: entry.inode() for entry in os.scandir(folder)}


def _digest(path: Path) -> str:
    descriptor = _real_os_open(path, os.O_RDONLY)
    with _real_open(descriptor, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _files(layout: Layout) -> list[Path]:
    """Small files that stand for themselves."""
    found = [*layout.adapters.glob("*/*.json"), *layout.tags.glob("*/*.json"), *layout.notes.glob("*/*/*.json")]
    return [*found, *([layout.version_file] if layout.version_file.exists() else [])]


def _kept(layout: Layout) -> list[Path]:
    """Folders that are whole, or are not there."""
    return [*layout.objects.glob("*"), *layout.trash.glob("*"), *layout.evaluations.glob("*/*/*")]
