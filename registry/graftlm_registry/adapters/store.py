"""The store: what is published stays, under a name and a version that never change their meaning.

::

    store/layout.json            the layout's version
    store/staging/               what is being written, on the same file system
    store/objects/DIGEST/        an adapter's files, immutable
    store/adapters/NAME/N.json   the record of version N, created exclusively
    store/evaluations/NAME/N/…   folders of later evaluations of version N, with their samples

A version is claimed by creating its record exclusively and retrying with the next number on a collision, so that
correctness needs no lock.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from graftlm.contracts.errors import GraftlmError, StoreError
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import from_json, to_json

from ..home import home
from ..suggestions import unknown
from .content import content_digest
from .durable import create_exclusively, make_folder, sync_folder, sync_tree
from .names import check_name, split_reference
from .records import read_record

LAYOUT = 1
REASONS = {
    errno.ENOSPC: "the disk is full: free some space",
    errno.EROFS: "its file system is read-only: set GRAFTLM_HOME to a folder that can be written",
    errno.EACCES: "it may not be written: set GRAFTLM_HOME to a folder that can be",
    errno.ENOTDIR: "a file stands where a folder should: set GRAFTLM_HOME to a folder",
    errno.EEXIST: "a file stands where a folder should: set GRAFTLM_HOME to a folder",
}


class AdapterStore:
    """A store in a folder, which is made when something is first written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._objects = root / "objects"
        self._adapters = root / "adapters"
        self._staging = root / "staging"
        self._evaluations = root / "evaluations"

    def prepare(self) -> None:
        """Make the folders, and check that they can be written and are of this layout."""
        with self._explained():
            for folder in (self._staging, self._objects, self._adapters):
                make_folder(folder)
            layout = self.root / "layout.json"
            if not layout.exists():
                try:
                    create_exclusively(layout, to_json({"layout": LAYOUT}) + b"\n", self._staging)
                except FileExistsError:
                    pass  # another process was first, with the same content
            probe = self._staging / f"probe.{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        found = from_json(layout.read_bytes(), dict[str, int], str(layout)).get("layout")
        if found != LAYOUT:
            raise StoreError(
                f"the store {self.root} has layout {found}, and this graftlm knows {LAYOUT}: update graftlm"
            )

    def stage(self) -> Path:
        """An empty folder on the store's file system, for an adapter's files."""
        self.prepare()
        folder = self._staging / f"adapter.{os.getpid()}.{os.urandom(6).hex()}"
        with self._explained():
            folder.mkdir()
        return folder

    def publish(self, staged: Path, draft: AdapterRecord) -> AdapterRecord:
        """Publish a staged folder under ``draft.name``; the version is the next free one.

        Publishing the same run's same files again gives the version that is there.
        """
        check_name(draft.name)
        with self._explained():
            digest = content_digest(staged)
            if digest != draft.digest:
                raise StoreError(
                    f"the staged adapter in {staged} is not the one that was proved: nothing was published"
                )
            sync_tree(staged)
            self._adopt(staged, self._objects / digest)
            return self._claim(draft)

    def _adopt(self, staged: Path, target: Path) -> None:
        """Move the staged folder to its place; equal content that is there already serves as well."""
        try:
            staged.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            shutil.rmtree(staged)
        sync_folder(target.parent)

    def _claim(self, draft: AdapterRecord) -> AdapterRecord:
        folder = self._adapters / draft.name
        make_folder(folder)
        while True:
            versions = self._versions(draft.name)
            for version in versions:
                try:
                    known = self.get(f"{draft.name}@{version}")
                except GraftlmError:
                    continue  # a damaged record must not keep a finished run from being kept
                if (known.run, known.digest) == (draft.run, draft.digest):
                    return known
            record = replace(draft, version=max(versions, default=0) + 1)
            try:
                create_exclusively(folder / f"{record.version}.json", to_json(record) + b"\n", self._staging)
            except FileExistsError:
                continue
            return self.get(record.reference)

    def names(self) -> list[str]:
        """Names that have a version, sorted."""
        if not self._adapters.is_dir():
            return []
        return sorted(path.name for path in self._adapters.iterdir() if self._versions(path.name))

    def _versions(self, name: str) -> list[int]:
        found = (path.stem for path in (self._adapters / name).glob("*.json"))
        return sorted(int(stem) for stem in found if stem.isdigit())

    def records(self, damaged: Callable[[GraftlmError], None]) -> Iterator[AdapterRecord]:
        """Every version of every adapter, by name and version; one that cannot be read is told to ``damaged``."""
        for name in self.names():
            for version in self._versions(name):
                try:
                    record = self.get(f"{name}@{version}")
                except GraftlmError as error:
                    damaged(error)
                else:
                    yield record

    def has(self, reference: str) -> bool:
        try:
            self.get(reference)
        except StoreError:
            return False
        return True

    def get(self, reference: str) -> AdapterRecord:
        """The record of ``name`` (its newest version) or ``name@version``."""
        name, version = split_reference(reference)
        versions = self._versions(name)
        if not versions:
            raise StoreError(unknown("adapter", name, self.names()))
        if version is not None and version not in versions:
            raise StoreError(f"{name} has no version {version}; it has {', '.join(map(str, versions))}")
        path = self._adapters / name / f"{version or versions[-1]}.json"
        with self._explained():
            return read_record(path.read_bytes(), f"the record {path}")

    def path(self, reference: str) -> Path:
        """The folder of an adapter's files, to be read only."""
        folder = self._objects / self.get(reference).digest
        if not folder.is_dir():
            raise StoreError(f"the files of {reference} are gone from {folder}")
        return folder

    def attach(self, reference: str, staged: Path, name: str) -> Path:
        """Keep a staged folder as an evaluation of a version; the same one again is kept once."""
        record = self.get(reference)
        folder = self._evaluations / record.name / str(record.version)
        with self._explained():
            make_folder(folder)
            sync_tree(staged)
            self._adopt(staged, folder / name)
        return folder / name

    def evaluations(self, reference: str) -> Iterator[Path]:
        """The folders of a version's later evaluations, the oldest first."""
        record = self.get(reference)
        folder = self._evaluations / record.name / str(record.version)
        yield from sorted(folder.iterdir()) if folder.is_dir() else ()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """The file system's errors, as sentences."""
        try:
            yield
        except OSError as error:
            why = REASONS.get(error.errno or 0, str(error))
            raise StoreError(f"the store {self.root} cannot be used: {why}") from error


def open_store() -> AdapterStore:
    """The store under graftlm's home."""
    return AdapterStore(home() / "store")
