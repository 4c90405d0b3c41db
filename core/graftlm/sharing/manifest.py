"""What a pushed adapter consists of: the manifest that is written last, so that a half push is no adapter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from graftlm.contracts.errors import GraftlmError, StoreError
from graftlm.contracts.serial import digest, file_digest, from_json, to_json

MANIFEST = "manifest.json"
LAYOUT = 1
LARGEST = 1 << 20
"""Bytes of a manifest, at most."""
LARGEST_SMALL, LARGEST_TENSORS = 64 << 20, 256 << 30
"""Bytes of a file, at most: of JSON and text, and of tensors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """``files`` by name; ``checksum`` is of all else in it."""

    layout: int
    name: str
    version: int
    files: Mapping[str, Entry]
    checksum: str = ""

    def sealed(self) -> Manifest:
        return replace(self, checksum=digest(replace(self, checksum="")))


def manifest_of(folder: Path, name: str, version: int) -> Manifest:
    """Of the files of a flat folder."""
    files = {path.name: Entry(sha256=file_digest(path), size=path.stat().st_size) for path in sorted(folder.iterdir())}
    return Manifest(layout=LAYOUT, name=name, version=version, files=files).sealed()


def manifest_bytes(manifest: Manifest) -> bytes:
    return to_json(manifest) + b"\n"


def read_manifest(data: bytes, where: str, allowed: frozenset[str]) -> Manifest:
    """``StoreError`` where it is not whole, or lists what is no file of an adapter."""
    try:
        found = from_json(data, Manifest, where)
    except (GraftlmError, RecursionError):
        raise StoreError(f"{where} is not whole: its push was interrupted, so push it again") from None
    if found.layout != LAYOUT:
        raise StoreError(f"{where} has layout {found.layout}, and this graftlm knows {LAYOUT}: update graftlm")
    if found.sealed() != found:
        raise StoreError(f"{where} is damaged: its checksum is not that of its content")
    strange = sorted(found.files.keys() - allowed)
    if strange:
        raise StoreError(f"{where} lists {strange[0]!r}, which is no file of an adapter")
    for name, entry in found.files.items():
        check_size(f"{where}: {name}", name, entry.size)
    return found


def most_bytes(name: str) -> int:
    return LARGEST_TENSORS if name.endswith(".safetensors") else LARGEST_SMALL


def check_size(what: str, name: str, size: int) -> None:
    most = most_bytes(name)
    if not 0 <= size <= most:
        raise StoreError(f"{what} has {size:,} bytes, and at most {most:,} are taken")
