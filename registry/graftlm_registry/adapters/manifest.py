"""What a kept folder holds, byte for byte: the size and SHA-256 of each of its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from graftlm.contracts.errors import GraftlmError
from graftlm.contracts.serial import file_digest, from_json, to_json

from .content import MANIFEST, content_files
from .sealed import seal, unseal


@dataclass(frozen=True, slots=True)
class Entry:
    """``size`` in bytes."""

    size: int
    sha256: str


def manifest_of(folder: Path) -> bytes:
    """The manifest of a flat folder, sealed."""
    found = {path.name: Entry(path.stat().st_size, file_digest(path)) for path in content_files(folder)}
    return seal(to_json(found))


def write_manifest(folder: Path) -> None:
    """Into a folder that is still being staged."""
    (folder / MANIFEST).write_bytes(manifest_of(folder))


def read_manifest(folder: Path) -> Mapping[str, Entry]:
    path = folder / MANIFEST
    return from_json(unseal(path.read_bytes(), str(path)), dict[str, Entry], str(path))


def faults(folder: Path) -> Iterator[tuple[Path, str]]:
    """What is not as the manifest says."""
    try:
        entries = read_manifest(folder)
    except OSError as error:
        yield folder / MANIFEST, f"cannot be read: {error.strerror}"
        return
    except GraftlmError as error:
        yield folder / MANIFEST, str(error).removeprefix(f"{folder / MANIFEST} ")
        return
    try:
        there = {path.name: path for path in content_files(folder)}
    except OSError as error:
        yield folder, f"cannot be read: {error.strerror}"
        return
    for name in sorted(there.keys() - entries.keys()):
        yield there[name], "was added: nobody knows this file"
    for name, entry in sorted(entries.items()):
        path = folder / name
        try:
            if name not in there:
                yield path, "is gone"
            elif path.is_symlink() or not path.is_file():
                yield path, "is no file any more"
            elif path.stat().st_size != entry.size:
                yield path, f"has {path.stat().st_size} bytes, and had {entry.size}"
            elif file_digest(path) != entry.sha256:
                yield path, "is not as it was written (its checksum differs)"
        except OSError as error:
            yield path, f"cannot be read: {error.strerror}"
