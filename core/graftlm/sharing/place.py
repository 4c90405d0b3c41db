"""A folder of any file system that fsspec knows: this machine's, a bucket, a server."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import GraftlmError, StoreError, UsageError

BLOCK = 1 << 20
USERINFO = re.compile(r"(?<=:)//[^/\s]*@")
OnBytes = Callable[[int], None]
"""Told how many bytes more have moved."""


class Place:
    """A folder there. Paths are relative to it, with '/'. Every failure is a ``StoreError`` that names the place."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec  # type: ignore[import-untyped]
        except ImportError:
            raise UsageError(f"{without_userinfo(url)} needs fsspec (run: pip install 'graftlm[data]')") from None
        if url.startswith("hf://"):
            raise UsageError(f"{url}: a repository of the hub is written hf:OWNER/NAME")
        said = without_userinfo(url)
        self.url = said.rstrip("/") or said
        try:
            self.system, self.root = fsspec.core.url_to_fs(url)
        except ImportError as error:
            raise UsageError(f"{said} cannot be reached from here: {_lacking(error)}") from None
        except ValueError:
            raise UsageError(f"{said} names no place: give a folder, or a URL such as s3://BUCKET/FOLDER") from None
        except Exception as error:  # noqa: BLE001 - every file system has errors of its own
            raise StoreError(f"{said} cannot be reached: {_why(error)}") from None

    def path(self, relative: str) -> str:
        return f"{self.root.rstrip('/')}/{relative}" if relative else str(self.root)

    def said(self, relative: str) -> str:
        """A path as the user would write it, without a user and a password: it is shown, and kept in records."""
        return f"{self.url}/{relative}" if relative else self.url

    @contextmanager
    def explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except (GraftlmError, FileExistsError):
            raise
        except Exception as error:  # noqa: BLE001 - every file system has errors of its own
            raise StoreError(f"{what}: {_why(error)}") from None

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
        self._make_folder(relative.rpartition("/")[0])
        with (
            self.explained(f"{self.said(relative)} cannot be written"),
            source.open("rb") as file,
            self.system.open(self.path(relative), "wb") as target,
        ):
            while block := file.read(BLOCK):
                target.write(block)
                on_bytes(len(block))

    def _make_folder(self, relative: str) -> None:
        said = self.said(relative)
        with self.explained(f"{said} cannot be made"):
            try:
                self.system.makedirs(self.path(relative), exist_ok=True)
            except FileExistsError:
                raise StoreError(f"{said} cannot be made: a file has its name") from None

    def create(self, relative: str, data: bytes) -> None:
        """A small file that is not there yet; ``FileExistsError`` where it is, as far as the file system can tell."""
        self._make_folder(relative.rpartition("/")[0])
        with self.explained(f"{self.said(relative)} cannot be written"):
            self._create(self.path(relative), data)

    def _create(self, path: str, data: bytes) -> None:
        from fsspec import AbstractFileSystem

        if type(self.system).pipe_file is AbstractFileSystem.pipe_file:  # that looks first and writes later
            with suppress(NotImplementedError, ValueError), self.system.open(path, "xb") as file:
                file.write(data)
                return
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
                try:
                    out.write(block)
                    out.flush()
                except OSError as error:  # this machine's fault, not the place's
                    with suppress(OSError):
                        out.close()
                    raise StoreError(f"{target} cannot be written: {_why(error)}") from None
                on_bytes(len(block))
        return digest.hexdigest()


def _lacking(error: ImportError) -> str:
    """fsspec's own words name the package."""
    named = re.search(r"install (?:the )?['\"]?([\w.\[\]-]+)", str(error), re.IGNORECASE)
    return f"it needs another package (run: pip install {named[1]})" if named else _first_line(error)


def without_userinfo(url: str) -> str:
    """A URL, or words with URLs in them, without the user and the password of ``//user:password@server``."""
    return USERINFO.sub("//", url)


def _why(error: Any) -> str:
    if isinstance(error, NotADirectoryError):
        return "a part of that path is a file, so give a folder"
    return str(error.strerror) if isinstance(error, OSError) and error.strerror else _first_line(error)


def _first_line(error: Any) -> str:
    """Without a password, which some put into their words."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return without_userinfo(first)
