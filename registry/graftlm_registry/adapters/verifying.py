"""Every byte of a store compared with what was written: what is damaged is named, and nothing is changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from graftlm.contracts.errors import GraftlmError
from graftlm.contracts.record import AdapterRecord

from . import manifest, marks, objects
from .content import MANIFEST, content_digest
from .durable import CLAIM
from .layout import LAYOUT, Layout, layout_bytes
from .names import check_name
from .records import read_record
from .references import check_tag
from .sealed import unseal
from .versions import folders, given


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a file, or a folder; ``what`` goes on after its name. ``lost``: an adapter is damaged or gone;
    otherwise what is wrong is beside it.
    """

    path: Path
    what: str
    lost: bool = True


class Verifying:
    """One look at everything. The counts stand when ``faults`` has ended."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._version = LAYOUT
        self.adapters = self.objects = self.files = self.bytes = 0

    def faults(self) -> Iterator[Fault]:
        """All that is wrong, as it is found."""
        layout = self.layout
        if not layout.root.exists():
            return
        yield from self._layout()
        for name in _others(layout.root, ("layout.json", "staging", "objects", "adapters", "tags", "notes",
                                          "evaluations", "trash", "index.sqlite", "index.sqlite-journal",
                                          "layout.json.claim")):  # fmt: skip
            yield Fault(layout.root / name, "does not belong here", lost=False)
        yield from self._records()
        yield from self._objects()
        yield from self._tags()
        yield from self._notes()
        yield from self._evaluations()

    def _layout(self) -> Iterator[Fault]:
        path = self.layout.version_file
        try:
            found = path.read_bytes()
            self._read(path)
        except OSError as error:
            if not isinstance(error, FileNotFoundError) or folders(self.layout.adapters):  # else it is still being made
                yield Fault(path, f"cannot be read: {error.strerror}", lost=False)
            return
        if found == layout_bytes(LAYOUT):
            return
        older = any(found == layout_bytes(number) for number in range(1, LAYOUT))
        self._version = self.layout.version() if older else LAYOUT
        what = "is of an earlier layout: run graftlm store migrate" if older else "is damaged"
        yield Fault(path, what, lost=not older)

    def _records(self) -> Iterator[Fault]:
        yield from _strangers(self.layout.adapters)
        for name in folders(self.layout.adapters):
            folder = self.layout.adapters / name
            yield from _named_well(folder, name)
            for path in _entries(folder):
                yield from self._surely(partial(self._record, path, name))

    def _record(self, path: Path, name: str) -> Iterator[Fault]:
        number, _, rest = path.name.partition(".")
        if rest == "json.claim" and number.isdecimal():
            return
        if rest == "removed.json" and number.isdecimal():
            yield from self._removed(path, self.layout.record(name, int(number)))
            return
        if rest != "json" or not number.isdecimal() or not path.is_file():
            if os.path.lexists(path):
                yield Fault(path, "is no record", lost=False)
            return
        self._read(path)
        try:
            record = read_record(path, self._version)
        except FileNotFoundError:
            return  # removed, or brought back, this moment
        except (OSError, GraftlmError) as error:
            given_up = self.layout.removed(name, int(number)).exists()
            yield Fault(path, _behind(error, f"the record {path} "), lost=not given_up)
            return
        if (record.name, record.version) != (name, int(number)):
            yield Fault(path, f"says that it is the record of {record.reference}")
        if not self.layout.removed(name, int(number)).exists():
            self.adapters += 1
            yield from self._needs(path, record)

    def _removed(self, path: Path, record: Path) -> Iterator[Fault]:
        self._read(path)
        try:
            unseal(path.read_bytes(), str(path))
        except FileNotFoundError:
            return  # brought back this moment
        except (OSError, GraftlmError) as error:
            yield Fault(path, _behind(error, f"{path} "), lost=False)
        if not record.exists():
            yield Fault(path, "removes a version that is not there", lost=False)

    def _needs(self, path: Path, record: AdapterRecord) -> Iterator[Fault]:
        if (self.layout.objects / record.digest).is_dir():
            return
        if objects.find(self.layout, record.digest) is not None:
            yield Fault(path, "names files that lie in the trash: graftlm store gc puts them back", lost=False)
        else:
            yield Fault(path, f"names files that are gone from {self.layout.objects / record.digest}")

    def _objects(self) -> Iterator[Fault]:
        yield from _strangers(self.layout.objects)
        for digest in folders(self.layout.objects):
            self.objects += 1
            yield from self._surely(partial(self._object, self.layout.objects / digest, digest))
        if self.layout.trash.is_dir():
            trash = {path: digest for path, digest, _ in objects.thrown_away(self.layout)}
            yield from self._surely(self._trash)
            for path, digest in trash.items():
                if digest.startswith(objects.DAMAGED):
                    continue
                yield from self._surely(partial(self._object, path, digest))

    def _trash(self) -> Iterator[Fault]:
        there = _entries(self.layout.trash)
        known = {path for path, _, _ in objects.thrown_away(self.layout)}
        for path in there:
            if path not in known and path.exists():
                yield Fault(path, "does not belong here", lost=False)

    def _object(self, folder: Path, digest: str) -> Iterator[Fault]:
        found = [Fault(path, what) for path, what in self._folder(folder)]
        if not folder.is_dir():
            return  # moved this moment
        yield from found
        if found:
            return
        try:
            whole = content_digest(folder)
        except (OSError, GraftlmError) as error:
            yield Fault(folder, f"cannot be read as an adapter: {error}")
            return
        if whole != digest:
            yield Fault(folder, "holds another adapter than its name says")

    def _folder(self, folder: Path) -> Iterator[tuple[Path, str]]:
        if self._version < 2 and not (folder / MANIFEST).exists():
            return
        for path in _entries(folder):
            self._read(path)
        yield from manifest.faults(folder)

    def _tags(self) -> Iterator[Fault]:
        yield from _strangers(self.layout.tags)
        for name in folders(self.layout.tags):
            yield from _named_well(self.layout.tags / name, name)
            for path in _entries(self.layout.tags / name):
                yield from self._surely(partial(self._tag, path, name))

    def _tag(self, path: Path, name: str) -> Iterator[Fault]:
        self._read(path)
        try:
            tag = path.name.removesuffix(".json")
            check_tag(tag)
            found = marks.read_tag(self.layout, name, tag)
        except (OSError, GraftlmError) as error:
            yield Fault(path, _behind(error, f"the tag {path} "), lost=False)
            return
        if found is None and path.exists():
            yield Fault(path, "is no tag", lost=False)
        elif found is not None and not self.layout.record(name, found.version).exists():
            yield Fault(path, f"is on {name}@{found.version}, which is not there", lost=False)

    def _notes(self) -> Iterator[Fault]:
        yield from _strangers(self.layout.notes, below=1)
        for name, number, folder in self._of_versions(self.layout.notes):
            yield from self._surely(partial(self._has_version, folder, name, number))
            for path in _entries(folder):
                if path.suffix == CLAIM:
                    continue
                self._read(path)
                try:
                    marks.read_note(path)
                except FileNotFoundError:
                    continue  # collected this moment
                except (OSError, GraftlmError) as error:
                    yield Fault(path, _behind(error, f"the note {path} "), lost=False)

    def _evaluations(self) -> Iterator[Fault]:
        yield from _strangers(self.layout.evaluations, below=1)
        for name, number, folder in self._of_versions(self.layout.evaluations):
            yield from self._surely(partial(self._has_version, folder, name, number))
            for kept in _entries(folder):
                yield from self._surely(partial(self._evaluation, kept))

    def _evaluation(self, kept: Path) -> Iterator[Fault]:
        found = list(self._folder(kept)) if kept.is_dir() else [(kept, "does not belong here")]
        if os.path.lexists(kept):  # else it was collected this moment
            yield from (Fault(path, what, lost=False) for path, what in found)

    def _of_versions(self, root: Path) -> Iterator[tuple[str, str, Path]]:
        for name in folders(root):
            for number in folders(root / name):
                yield name, number, root / name / number

    def _has_version(self, folder: Path, name: str, number: str) -> Iterator[Fault]:
        if (not number.isdecimal() or not given(self.layout, name, int(number))) and folder.exists():
            yield Fault(folder, f"belongs to {name}@{number}, which is not there", lost=False)

    def _surely(self, look: Callable[[], Iterator[Fault]]) -> Iterator[Fault]:
        """What a second look finds as well: others may move things while this one reads."""
        first = list(look())
        if first:
            counts = self.adapters, self.files, self.bytes
            yield from (fault for fault in list(look()) if fault in first)
            self.adapters, self.files, self.bytes = counts

    def _read(self, path: Path) -> None:
        self.files += 1
        with suppress(OSError):
            self.bytes += path.lstat().st_size


def _others(folder: Path, known: tuple[str, ...]) -> list[str]:
    return sorted(set(os.listdir(folder)) - set(known))  # noqa: PTH208 - names are all that is asked for


def _strangers(folder: Path, below: int = 0) -> Iterator[Fault]:
    """What is no folder, where only folders are: in this one, and in those so many levels below."""
    for path in _entries(folder):
        if not path.is_dir():
            if os.path.lexists(path):
                yield Fault(path, "does not belong here", lost=False)
        elif below:
            yield from _strangers(path, below - 1)


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, sorted; nothing where it is gone."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _named_well(folder: Path, name: str) -> Iterator[Fault]:
    try:
        check_name(name)
    except GraftlmError:
        yield Fault(folder, "has a name that no adapter can have", lost=False)


def _behind(error: Exception, subject: str) -> str:
    """The error's words without the file's name, which is told anyway."""
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    return str(error).removeprefix(subject)
