"""The store: what is published stays, under a name and a version that never change their meaning.

A version is claimed by creating its record exclusively and trying the next number on a collision, so that correctness
needs no lock. ``layout`` says where everything lies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from graftlm.contracts.errors import GraftlmError, StoreError
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import to_json

from ..home import home
from ..suggestions import unknown
from . import marks, objects, publishing
from .durable import create_exclusively, make_folder, replace_file, sync_tree
from .layout import LAYOUT, Layout, explained, layout_bytes
from .manifest import write_manifest
from .marks import Note
from .names import check_name
from .records import read_record
from .references import check_tag, read_reference
from .sealed import seal
from .versions import Versions, names, versions


@dataclass(frozen=True, slots=True)
class Tagged:
    """``before`` is the version that had the tag until now, or None."""

    reference: str
    tag: str
    before: int | None


class AdapterStore:
    """A store in a folder, which is made when something is first written."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root)

    @property
    def root(self) -> Path:
        return self.layout.root

    @cached_property
    def _version(self) -> int:
        """Of the layout, as it was when this was first asked."""
        with explained(self.root):
            return self.layout.version()

    def prepare(self) -> None:
        """Make the folders, and check that they can be written and are of this layout."""
        with explained(self.root):
            for folder in (self.layout.staging, self.layout.objects, self.layout.adapters):
                make_folder(folder)
            if not self.layout.version_file.exists():
                with suppress(FileExistsError):  # another process was first, with the same content
                    create_exclusively(self.layout.version_file, layout_bytes(LAYOUT), self.layout.fresh("layout"))
                if not self.layout.version_file.exists():  # claimed, without hard links, by one that has ended since
                    replace_file(self.layout.version_file, layout_bytes(LAYOUT), self.layout.fresh("layout"))
            found = self.layout.version()
            if found < LAYOUT:
                raise StoreError(
                    f"the store {self.root} has layout {found}, which this graftlm reads, but does not write: "
                    "run 'graftlm store migrate' (it takes seconds, and loses nothing)"
                )
            probe = self.layout.fresh("probe")
            probe.write_bytes(b"")
            probe.unlink()

    def stage(self) -> Path:
        """An empty folder on the store's file system, for an adapter's files."""
        self.prepare()
        folder = self.layout.fresh("adapter")
        with explained(self.root):
            folder.mkdir()
        return folder

    def publish(self, staged: Path, draft: AdapterRecord) -> AdapterRecord:
        """Publish a staged folder under ``draft.name``; the version is the next free one.

        Publishing the same run's same files again gives the version that is there.
        """
        check_name(draft.name)
        with explained(self.root):
            return publishing.publish(self.layout, staged, draft)

    # Reading

    def names(self) -> list[str]:
        """Names that have a version, sorted."""
        with explained(self.root):
            return names(self.layout)

    def versions(self, name: str) -> Versions:
        with explained(self.root):
            return versions(self.layout, check_name(name))

    def records(self, damaged: Callable[[GraftlmError], None]) -> Iterator[AdapterRecord]:
        """Every version of every adapter, by name and version; one that cannot be read is told to ``damaged``."""
        for name in self.names():
            for version in versions(self.layout, name).kept:
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
        """The record of ``name`` (its newest version), ``name@version`` or ``name@tag``."""
        name, version = self.resolve(reference)
        path = self.layout.record(name, version)
        with explained(self.root):
            if self.layout.removed(name, version).exists():
                raise self._lacking(name, version)
            try:
                record = read_record(path, self._version)
            except FileNotFoundError:  # 'resolve' looks only where it must
                raise self._lacking(name, version) from None
        if (record.name, record.version) != (name, version):
            raise StoreError(f"the record {path} is that of {record.reference}: somebody copied it there")
        return record

    def resolve(self, reference: str) -> tuple[str, int]:
        """Name and version; the version was not looked for where it is given as a number."""
        asked = read_reference(reference)
        if asked.version is not None:
            return asked.name, asked.version
        with explained(self.root):
            if asked.tag:
                return asked.name, self._tagged(asked.name, asked.tag)
            kept = versions(self.layout, asked.name).kept
        if not kept:
            raise self._lacking(asked.name, 0)
        return asked.name, kept[-1]

    def _tagged(self, name: str, tag: str) -> int:
        found = marks.read_tag(self.layout, name, tag)
        if found is not None:
            return found.version
        if not versions(self.layout, name).kept:
            raise self._lacking(name, 0)
        raise StoreError(unknown(f"tag of {name}", tag, self.tags(name)))

    def _lacking(self, name: str, version: int) -> StoreError:
        found = versions(self.layout, name)
        if version in found.removed:
            with suppress(OSError, GraftlmError):
                digest = read_record(self.layout.record(name, version), self._version).digest
                if objects.find(self.layout, digest) is None:
                    return StoreError(f"{name}@{version} was removed, and its files were deleted since")
            return StoreError(
                f"{name}@{version} was removed: 'graftlm adapters restore {name}@{version}' brings it back"
            )
        if not found.kept and found.removed:
            last = f"{name}@{found.removed[-1]}"
            return StoreError(f"all versions of {name} were removed: 'graftlm adapters restore {last}' brings one back")
        if not found.kept:
            return StoreError(unknown("adapter", name, self.names()))
        return StoreError(f"{name} has no version {version}; it has {', '.join(map(str, found.kept))}")

    def path(self, reference: str) -> Path:
        """The folder of an adapter's files, to be read only."""
        digest = self.get(reference).digest
        with explained(self.root):
            folder = objects.find(self.layout, digest)
        if folder is None:
            raise StoreError(
                f"the files of {reference} are gone from {self.layout.objects / digest}: bring them back from a copy, "
                "as 'graftlm adapters import' does"
            )
        return folder

    # Removing

    def remove(self, reference: str) -> str:
        """Take a version out of sight, and give its reference; its files stay until they are collected. It need not be
        readable.
        """
        name, version = self.resolve(reference)
        if version not in self.versions(name).kept:
            raise self._lacking(name, version)
        found = [tag for tag, its in self.tags(name).items() if its == version]
        if found:
            raise StoreError(
                f"{name}@{version} is tagged '{found[0]}': give that tag to another version, or take it away with "
                f"'graftlm adapters tag {name} {found[0]} --remove'"
            )
        with explained(self.root):
            self.prepare()
            said = seal(to_json({"removed": datetime.now(UTC).isoformat(timespec="seconds")}))
            replace_file(self.layout.removed(name, version), said, self.layout.fresh("removed"))
        return f"{name}@{version}"

    def restore(self, reference: str) -> AdapterRecord:
        """Bring a removed version back; ``StoreError`` where its files are gone for good."""
        asked = read_reference(reference)
        known = self.versions(asked.name)
        if not known.kept and not known.removed:
            raise self._lacking(asked.name, 0)
        removed = known.removed
        version = asked.version or (removed[-1] if removed else 0)
        if asked.tag or version not in removed:
            which = ", ".join(f"{asked.name}@{number}" for number in removed) or "none"
            raise StoreError(f"{reference} was not removed (removed versions of {asked.name}: {which})")
        with explained(self.root):
            self.prepare()
            record = read_record(self.layout.record(asked.name, version), LAYOUT)
            if not objects.bring_back(self.layout, record.digest, self.layout.removed(asked.name, version)):
                raise StoreError(f"the files of {record.reference} were deleted: it cannot be brought back")
        return record

    # What is attached to a version

    def tag(self, reference: str, tag: str) -> Tagged:
        """Give a version the tag, which another version of the same name may have had."""
        check_tag(tag)
        record = self.get(reference)
        with explained(self.root):
            self.prepare()
            before = marks.read_tag(self.layout, record.name, tag)
            marks.set_tag(self.layout, record.name, record.version, tag)
        return Tagged(record.reference, tag, before.version if before else None)

    def untag(self, name: str, tag: str) -> None:
        """``StoreError`` where nothing has the tag."""
        asked = read_reference(name)
        with explained(self.root):
            self.prepare()
            try:
                marks.remove_tag(self.layout, asked.name, check_tag(tag))
            except FileNotFoundError:
                raise StoreError(unknown(f"tag of {asked.name}", tag, self.tags(asked.name))) from None

    def tags(self, name: str) -> dict[str, int]:
        """The version of each tag of a name."""
        with explained(self.root):
            return marks.tags(self.layout, name)

    def note(self, reference: str, text: str) -> Note:
        """Write a note on a version."""
        record = self.get(reference)
        with explained(self.root):
            self.prepare()
            return marks.add_note(self.layout, record.name, record.version, text)

    def notes(self, reference: str) -> tuple[Note, ...]:
        """The notes on a version, the oldest first."""
        record = self.get(reference)
        with explained(self.root):
            return marks.notes(self.layout, record.name, record.version)

    def attach(self, reference: str, staged: Path, name: str) -> Path:
        """Keep a staged folder as an evaluation of a version; the same one again is kept once."""
        record = self.get(reference)
        target = self.layout.evaluations / record.name / str(record.version) / name
        with explained(self.root):
            try:
                make_folder(target.parent)
                write_manifest(staged)
                sync_tree(staged)
                objects.place(staged, target)
            except BaseException:
                with suppress(OSError):
                    target.parent.rmdir()
                    target.parent.parent.rmdir()
                raise
        return target

    def evaluations(self, reference: str) -> Iterator[Path]:
        """The folders of a version's later evaluations, the oldest first."""
        record = self.get(reference)
        folder = self.layout.evaluations / record.name / str(record.version)
        yield from sorted(folder.iterdir()) if folder.is_dir() else ()


def open_store() -> AdapterStore:
    """The store under graftlm's home."""
    return AdapterStore(home() / "store")
