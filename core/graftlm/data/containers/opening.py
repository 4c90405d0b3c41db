"""A file's bytes, decompressed, with the reasons why they cannot be had as sentences."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import DataError

from .kinds import Compression

BUFFER = 1 << 18
BOM = b"\xef\xbb\xbf"
MAGIC: dict[Compression, bytes] = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}


def zstd() -> Any:
    """The module that reads and writes zstd: the standard library's, or its backport."""
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd as module
        else:
            from backports import zstd as module
    except ImportError:
        raise DataError("zstd files need backports.zstd (run: pip install 'graftlm[data]')") from None
    return module


@contextmanager
def opened(path: Path, label: str, compression: Compression) -> Iterator[io.BufferedReader[Any]]:
    """A text file's bytes from the start, seekable; ``DataError`` for whatever reading them raises."""
    damage: tuple[type[Exception], ...] = (EOFError, zlib.error, gzip.BadGzipFile)
    if compression == "zstd":
        damage = (EOFError, zstd().ZstdError)
    try:
        with io.BufferedReader(io.FileIO(path), BUFFER) as file:
            _refuse_misnamed(file.peek(64)[:64], label, compression)
            if not compression:
                yield file
                return
            inner: Any = gzip.GzipFile(fileobj=file) if compression == "gzip" else zstd().ZstdFile(file)
            with io.BufferedReader(inner, BUFFER) as stream:
                yield stream
    except damage:
        why = f"its {compression} data is damaged or cut short: make or fetch the file again"
        raise DataError(f"{label} cannot be read: {why}") from None
    except OSError as error:
        raise DataError(f"{label} cannot be read: {error.strerror or error}") from None


def _refuse_misnamed(head: bytes, label: str, compression: Compression) -> None:
    """A file that is not what its name says, where its first bytes tell what it is."""
    if head.startswith(b"version https://git-lfs"):
        raise DataError(f"{label} is a Git LFS pointer and not the data: run 'git lfs pull' where it comes from")
    found = next((name for name, magic in MAGIC.items() if head.startswith(magic)), "")
    if compression and head and found != compression:
        raise DataError(f"{label} cannot be read: it is not {compression} data, as its name says")
    if found and not compression:
        raise DataError(f"{label} cannot be read: it is {found} data: name it {'.gz' if found == 'gzip' else '.zst'}")


def refuse_other_encodings(stream: io.BufferedReader[Any], label: str) -> None:
    """UTF-16, as some spreadsheets and shells write it, can be told by its first bytes: a mark, or every other a 0."""
    head = stream.peek(4)[:4]
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or (len(head) == 4 and b"\0\0" in (head[::2], head[1::2])):
        raise DataError(f"{label}:1: UTF-16 text: save the file as UTF-8")
