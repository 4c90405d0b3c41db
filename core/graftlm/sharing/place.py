"""A folder of any file system that fsspec knows: this machine's, a bucket, a server."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import GraftlmError, StoreError, UsageError

BLOCK = 1 << 20
OnBytes = Callable[[int], None]
"""Told how many bytes more have moved."""


class Place:
    """A folder there. Paths are relative to it, with '/'. Every failure is a ``StoreError`` that names the place."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec  # type: ignore[import-untyped]
        except ImportError:
            raise UsageError(f"{url} needs fsspec (run: pip install 'graftlm[data]')") from None
        if url.startswith("hf://"):
            raise UsageError(f"{url}: a repository of the hub is written hf:OWNER/NAME")
        self.url = url.rstrip("/") or url
        try:
            self.system, self.root = fsspec.core.url_to_fs(url)
        except ImportError as error:
            raise UsageError(f"{url} cannot be reached from here: {_lacking(error)}") from None
        except ValueError:
            raise UsageError(f"{url} names no place: give a folder, or a URL such as s3://BUCKET/FOLDER") from None
        except Exception as error:  # noqa: BLE001 - every file system has errors of its own
            raise StoreError(f"{url} cannot be reached: {_first_line(error)}") from None

    def path(self, relative: str) -> str:
        return f"{self.root.rstrip('/')}/{relative}" if relative else str(self.root)

    def said(self, relative: str) -> str:
        """A path as the user would write it."""
        return f"{self.url}/{relative}" if relative else self.url

    @contextmanager
    def explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except (GraftlmError, FileExistsError):
            raise
        except Exception as error:  # noqa: BLE001 - every file system has errors of its own
            raise StoreError(f"{what}: {_first_line(error)}") from None

    def names(self, relative: str = "") -> list[str]:
        """What a folder holds; nothing where it is not there."""
        with self.explained(f"{self.said(relative)} cannot be read"):
            try:
                found = self.system.ls(self.path(relative), detail=False)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted({str(path).rstrip("/").rpartition("/")[2] for path in found})

    def read(self, relative: str, most: int) -> bytes | None:
        """A small file; None where there is none. ``StoreError`` where it is larger than ``most``."""
        with self.explained(f"{self.said(relative)} cannot be read"):
            try:
                with self.system.open(self.path(relative), "rb") as file:
                    data: bytes = file.read(most + 1)
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                return None
        if len(data) > most:
            raise StoreError(f"{self.said(relative)} is larger than {most:,} bytes")
        return data

    def size(self, relative: str) -> int:
        with self.explained(f"{self.said(relative)} cannot be read"):
            return int(self.system.size(self.path(relative)) or 0)

    def write(self, source: Path, relative: str, on_bytes: OnBytes) -> None:
        """A file of this machine, whatever stood there before."""
        with self.explained(f"{self.said(relative)} cannot be written"):
            self.system.makedirs(self.path(relative.rpartition("/")[0]), exist_ok=True)
            with source.open("rb") as file, self.system.open(self.path(relative), "wb") as target:
                while block := file.read(BLOCK):
                    target.write(block)
                    on_bytes(len(block))

    def mark(self, relative: str, data: bytes) -> None:
        """A small file, whatever stood there before."""
        with self.explained(f"{self.said(relative)} cannot be written"):
            self.system.makedirs(self.path(relative.rpartition("/")[0]), exist_ok=True)
            self.system.pipe_file(self.path(relative), data)

    def create(self, relative: str, data: bytes) -> None:
        """A small file that is not there yet; ``FileExistsError`` where it is, as far as the file system can tell."""
        with self.explained(f"{self.said(relative)} cannot be written"):
            self._create(self.path(relative), data)

    def _create(self, path: str, data: bytes) -> None:
        try:
            self.system.pipe_file(path, data, mode="create")
        except (TypeError, NotImplementedError):  # a file system that does not know the mode
            if self.system.exists(path):
                raise FileExistsError(path) from None
            self.system.pipe_file(path, data)

    def remove(self, relative: str) -> None:
        with self.explained(f"{self.said(relative)} cannot be written"):
            try:
                self.system.rm_file(self.path(relative))
            except FileNotFoundError:
                pass

    def fetch(self, relative: str, target: Path, most: int, on_bytes: OnBytes) -> str:
        """A file to this machine; its SHA-256. ``StoreError`` where it is longer than ``most`` bytes."""
        digest, left = hashlib.sha256(), most
        with (
            self.explained(f"{self.said(relative)} cannot be read"),
            self.system.open(self.path(relative), "rb") as file,
            target.open("xb") as out,
        ):
            while block := file.read(BLOCK):
                left -= len(block)
                if left < 0:
                    raise StoreError(f"{self.said(relative)} is longer than the {most:,} bytes that it should have")
                digest.update(block)
                out.write(block)
                on_bytes(len(block))
        return digest.hexdigest()


def _lacking(error: ImportError) -> str:
    """fsspec's own words name the package."""
    named = re.search(r"install (?:the )?['\"]?([\w.\[\]-]+)", str(error), re.IGNORECASE)
    return f"it needs another package (run: pip install {named[1]})" if named else _first_line(error)


def _first_line(error: Any) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
