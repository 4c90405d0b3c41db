"""Records into a file of any kind, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

from graftlm.contracts.errors import DataError, UsageError

from .kinds import Compression, Content, Kind, kind_of
from .writers import JsonLines, JsonList, Table

WRITTEN: tuple[Content, ...] = ("json-lines", "json", "csv", "tsv", "parquet")
ENDINGS = ".jsonl, .ndjson, .json, .csv, .tsv (these also with .gz or .zst behind it) or .parquet"


class Writer(Protocol):
    """``write`` raises ``DataError`` with the reason, without a place, for a record that the file cannot hold."""

    def write(self, record: Mapping[str, Any]) -> None: ...


class Finishable(Writer, Protocol):
    """``finish`` writes what comes behind the last record."""

    def finish(self) -> None: ...


@contextmanager
def open_writer(path: Path) -> Iterator[Writer]:
    """A writer for a ``with`` block. ``path`` is there when the block ends without an error, and nothing is otherwise.

    The path's ending chooses the kind. ``UsageError`` where it chooses none, or where the file exists already.
    """
    kind = kind_of(path)
    if kind is None or kind.content not in WRITTEN:
        raise UsageError(f"{path} is of no kind that can be written: give an --out that ends in {ENDINGS}")
    _refuse_existing(path)
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} for {path.name}: make it, or give another --out")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(6).hex()}")
    try:
        with _explained(path):
            file = temporary.open("xb")
        with ExitStack() as stack:
            stack.enter_context(_Closing(file))
            stream = stack.enter_context(_Closing(_compressed(file, kind.compression)))
            writer = _writer(stream, kind, path, stack)
            yield _Explaining(writer, path)
            with _explained(path):
                writer.finish()
                stream.close()
                _kept(file, temporary, path)
    finally:
        with suppress(OSError):  # a read-only place says so even of what is not there
            temporary.unlink()


class _Explaining:
    def __init__(self, writer: Writer, path: Path) -> None:
        self._writer, self._path = writer, path

    def write(self, record: Mapping[str, Any]) -> None:
        with _explained(self._path):
            self._writer.write(record)


class _Closing:
    """Closes a file whatever happens; where the block failed, a close that fails too says nothing new."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __enter__(self) -> IO[bytes]:
        return self._file

    def __exit__(self, *_: object) -> None:
        with suppress(OSError, ValueError):
            self._file.close()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from None


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise UsageError(f"{path} exists already: give another --out")


def _compressed(file: IO[bytes], compression: Compression) -> IO[bytes]:
    if compression == "gzip":
        import gzip

        return gzip.GzipFile("", "wb", fileobj=file, mtime=0)  # type: ignore[return-value]  # the same bytes each time
    if compression == "zstd":
        from .opening import zstd

        stream: IO[bytes] = zstd().ZstdFile(file, "wb")
        stream.write(b"")  # otherwise no records would make no frame
        return stream
    return file


def _writer(stream: IO[bytes], kind: Kind, path: Path, stack: ExitStack) -> Finishable:
    if kind.content == "parquet":
        import tempfile

        from .parquet_writer import Parquet

        with _explained(path):
            waiting: IO[bytes] = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115  # the stack closes it
            stack.enter_context(_Closing(waiting))
        return Parquet(stream, waiting, path)
    if kind.content in ("csv", "tsv"):
        return Table(stream, "\t" if kind.content == "tsv" else ",")
    return JsonList(stream) if kind.content == "json" else JsonLines(stream)


def _kept(file: IO[bytes], temporary: Path, path: Path) -> None:
    """The bytes, the name, the folder that lists it: in this order a crash leaves the whole file or none."""
    if not file.closed:
        file.flush()
        file.close()
    for durable in (temporary, path.parent):
        descriptor = os.open(durable, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if durable == temporary:
            _refuse_existing(path)
            temporary.rename(path)
