"""A folder as one archive, whose bytes are the same whenever and wherever it is written."""

from __future__ import annotations

import gzip
import os
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from graftlm.contracts.errors import StoreError, UsageError

SUFFIXES = (".tar.gz", ".zip")
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip knows."""


def stem_of(archive: Path) -> str:
    """The name of the folder in it; ``UsageError`` where it is no archive that can be written."""
    for suffix in SUFFIXES:
        if archive.name.lower().endswith(suffix) and len(archive.name) > len(suffix):
            return archive.name[: -len(suffix)]
    raise UsageError(f"--out {archive}: an archive is a NAME.tar.gz or a NAME.zip")


def check_archive(archive: Path) -> None:
    """``UsageError`` where it cannot be written anew."""
    stem_of(archive)
    if archive.exists():
        raise UsageError(f"--out {archive} is there already: give a new name")


@contextmanager
def new_archive(archive: Path) -> Iterator[Path]:
    """A path beside ``archive`` to write to, which becomes it at the end."""
    partial = archive.with_name(f".{archive.name}.partial-{os.urandom(3).hex()}")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(archive)
    except OSError as error:
        raise StoreError(f"{archive} cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            partial.unlink()


def pack(folder: Path, archive: Path, root: str, kind: str) -> None:
    """The files of a flat folder, below ``root`` in the archive."""
    files = sorted(folder.iterdir())
    with archive.open("wb") as out:
        if kind.lower().endswith(".zip"):
            _zip(files, out, root)
        else:
            _tar(files, out, root)


def _zip(files: list[Path], out: BinaryIO, root: str) -> None:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as whole:
        for path in files:
            entry = zipfile.ZipInfo(f"{root}/{path.name}", EPOCH)
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # whichever machine writes it
            entry.compress_type = zipfile.ZIP_DEFLATED
            with path.open("rb") as file, whole.open(entry, "w", force_zip64=True) as target:
                while block := file.read(1 << 20):
                    target.write(block)


def _tar(files: list[Path], out: BinaryIO, root: str) -> None:
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as whole,
    ):
        for path in files:
            entry = tarfile.TarInfo(f"{root}/{path.name}")
            entry.size, entry.mode = path.stat().st_size, 0o644
            with path.open("rb") as file:
                whole.addfile(entry, file)
