"""An adapter out of an archive: the listed files alone, from one folder, whatever else lies in it."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from typing import BinaryIO

from graftlm.contracts.errors import StoreError

from . import tar_archive, zip_archive
from .collecting import CONVERT, LISTED, PICKLES, Collected, check_complete
from .packed import Plain, Stream, gzip, xz
from .safetensors_file import shortened

KINDS = ".zip, .tar, .tar.gz, .tgz and .tar.xz"


def collect(file: BinaryIO, called: str, collected: Collected) -> None:
    """Fill ``collected`` from an open archive; ``StoreError`` where it is none, or holds what an adapter has not."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(262)
    file.seek(0)
    if called.lower().endswith(PICKLES) or start[:1] == b"\x80":
        raise StoreError(f"it is a pickle, {CONVERT}")
    inside = _Inside(collected)
    if start[:4] in (b"PK\3\4", b"PK\5\6"):
        _from_zip(file, size, inside)
    elif start[:2] == b"\x1f\x8b":
        _from_tar(Stream(file, gzip(), size), inside, packed=True)
    elif start[:6] == b"\xfd7zXZ\0":
        _from_tar(Stream(file, xz(), size), inside, packed=True)
    elif start[257:262] == b"ustar":
        _from_tar(Stream(file, Plain(), size), inside, packed=False)
    elif called.lower().endswith(".safetensors"):
        raise StoreError("it is one file of an adapter: name the folder that holds it and adapter_config.json")
    else:
        raise StoreError(f"it is neither a folder nor an archive that graftlm unpacks: {KINDS}")
    check_complete(collected, inside.names)


class _Inside:
    """The members that were met, and the folder that the adapter lies in."""

    def __init__(self, collected: Collected) -> None:
        self.collected = collected
        self.folder: str | None = None
        self.names: list[str] = []

    def meet(self, path: str) -> str | None:
        """The name of a listed file; None where the member is left aside. ``StoreError`` where it is hostile."""
        parts = _parts(path)
        self.collected.note("/".join(parts))
        self.names.append(parts[-1])
        if parts[-1] == "data.pkl":
            raise StoreError(f"it is a pickle of PyTorch's, {CONVERT}")
        folder = "/".join(parts[:-1])
        if parts[-1] not in LISTED or len(parts) > 2:
            if not parts[-1].startswith("._"):
                self.collected.left.append("/".join(parts))
            return None
        if self.folder not in (None, folder):
            raise StoreError("it holds several adapters: pack the one that you want, by itself")
        self.folder = folder
        return parts[-1]


def _parts(path: str) -> list[str]:
    said = f"it holds {shortened(path)}, "
    if len(path) > 1024 or not path.isprintable() or "\\" in path or ":" in path or path.startswith("/"):
        raise StoreError(said + "which is no name for a file in an archive")
    parts = [part for part in PurePosixPath(path).parts if part != "."]
    if not parts or ".." in parts or any(part != part.strip(" ") or part.endswith(".") for part in parts):
        raise StoreError(said + "which is no name for a file in an archive")
    return parts


def _from_zip(file: BinaryIO, size: int, inside: _Inside) -> None:
    for member in zip_archive.members(file, size):
        if member.name.endswith("/"):
            _parts(member.name)
        elif name := inside.meet(member.name):
            inside.collected.take(name, member.size, zip_archive.blocks(file, member))


def _from_tar(stream: Stream, inside: _Inside, *, packed: bool) -> None:
    for member in tar_archive.members(stream):
        if member.size is None:
            if member.name not in (".", "./"):
                _parts(member.name)
            inside.collected.note(f"{member.name}/")
            continue
        name = inside.meet(member.name)
        if name:
            inside.collected.take(name, member.size, stream.blocks(member.size))
        elif sum(map(len, stream.blocks(member.size))) != member.size:
            raise StoreError("it is cut short")
    if packed and not stream.ended():
        raise StoreError("it is cut short, or has something behind its end")
