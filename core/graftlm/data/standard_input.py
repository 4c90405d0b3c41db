"""Standard input as a file, so that it can be read more than once."""

from __future__ import annotations

import hashlib
import os
import sys
import zlib
from pathlib import Path
from typing import IO

from graftlm.contracts.errors import DataError, UsageError

from .containers.opening import BOM, MAGIC, zstd

LABEL = "<stdin>"
CHUNK = 1 << 20
HEAD = 1 << 12
TAKEN = "standard input takes JSON lines or a JSON list (also in gzip or zstd), Parquet or Arrow"
BINARY = {b"PAR1": ".parquet", b"ARROW1": ".arrow", b"\xff\xff\xff\xff": ".arrow"}
"""The last one begins every message of an Arrow stream."""


def kept(spool: Path) -> Path:
    """A file ``SHA256.SUFFIX`` in ``spool`` with what standard input gives, written whole or not at all."""
    stream = sys.stdin.buffer if sys.stdin is not None else None
    if stream is None:
        raise DataError("standard input is closed: give a file, or pipe data in")
    if stream.isatty():
        raise UsageError("'-' reads standard input, which is the terminal: pipe data into graftlm, or give a file")
    try:
        return _written(stream, spool)
    except OSError as error:
        raise DataError(f"standard input cannot be kept in {spool}: {error.strerror}") from None


def _written(stream: IO[bytes], spool: Path) -> Path:
    head = stream.read(CHUNK)
    if not head:
        raise DataError("standard input is empty, or was read already: pipe data into graftlm, or give a file")
    suffix = _suffix(head)
    spool.mkdir(parents=True, exist_ok=True)
    temporary = spool / f"stdin.{os.getpid()}.{os.urandom(6).hex()}"
    digest = hashlib.sha256()
    try:
        with temporary.open("xb") as file:
            while head:
                digest.update(head)
                file.write(head)
                head = stream.read(CHUNK)
            file.flush()
            os.fsync(file.fileno())
        return temporary.replace(spool / f"{digest.hexdigest()}{suffix}")
    finally:
        temporary.unlink(missing_ok=True)


def _suffix(head: bytes) -> str:
    """What the file must be called, by its first bytes."""
    for magic, suffix in BINARY.items():
        if head.startswith(magic):
            return suffix
    compressed = ""
    if head.startswith(MAGIC["gzip"]):
        compressed, head = ".gz", _inner_gzip(head)
    elif head.startswith(MAGIC["zstd"]):
        compressed, head = ".zst", _inner_zstd(head)
    if head.removeprefix(BOM).lstrip()[:1] in (b"[", b"{"):
        return f".json{compressed}"
    raise DataError(f"{TAKEN}, and this is none of them: save it as a file with the right ending and give that")


def _inner_gzip(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, HEAD)
    except zlib.error:
        return b""


def _inner_zstd(head: bytes) -> bytes:
    module = zstd()
    try:
        inner: bytes = module.ZstdDecompressor().decompress(head, HEAD)
    except module.ZstdError:
        return b""
    return inner
