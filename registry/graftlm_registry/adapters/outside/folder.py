"""An adapter out of a folder that another tool wrote: regular files alone, read once, no link followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from graftlm.contracts.errors import StoreError

from .collecting import CONFIG, LISTED, Collected, Zeros, check_complete
from .safetensors_file import shortened

BLOCK = 1 << 20
MOST_TOLD = 5


def collect(descriptor: int, collected: Collected) -> None:
    """Fill ``collected`` from an open folder; ``StoreError`` where it holds no adapter, or what only looks like one."""
    names: list[str] = []
    folders: list[str] = []
    with os.scandir(descriptor) as entries:
        for entry in entries:
            collected.note(entry.name)
            is_folder = entry.is_dir(follow_symlinks=False)
            (folders if is_folder else names).append(entry.name)
            if is_folder and entry.name in LISTED:
                raise StoreError(f"its {entry.name} is a folder")
    inner = sorted(name for name in folders if _holds_adapter(descriptor, name))
    if CONFIG not in names and inner:
        told = ", ".join(map(shortened, inner[:MOST_TOLD])) + (", …" if len(inner) > MOST_TOLD else "")
        raise StoreError(f"it holds {len(inner)} adapters in folders of their own: name one of them ({told})")
    for name in sorted(names):
        if name not in LISTED:
            collected.left.append(name)
            continue
        with opened(name, descriptor) as (file, size):
            collected.take(name, size, _blocks(file, size))
            changed = os.fstat(file.fileno())
            if changed.st_size != size or file.read(1):
                raise StoreError(f"{name} changed while it was read")
    collected.left += folders
    check_complete(collected, names)


def _holds_adapter(descriptor: int, name: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(f"{name}/{CONFIG}", dir_fd=descriptor, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """No more than ``size`` bytes: a file that grows all the time would have no end."""
    zeros = Zeros()
    while size:
        block = file.read(min(size, BLOCK))
        if not block:
            return
        size -= len(block)
        yield zeros.see(block)


@contextmanager
def opened(name: str, descriptor: int | None = None) -> Iterator[tuple[BinaryIO, int]]:
    """A regular file and its size. Anything else is refused at once: no pipe is waited for, no device is read."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (os.O_NOFOLLOW if descriptor is not None else 0)
    said = shortened(Path(name).name)
    found = os.stat(name, dir_fd=descriptor, follow_symlinks=descriptor is None)
    if stat.S_ISLNK(found.st_mode):
        raise StoreError(f"its {said} is a link, which graftlm does not follow: copy the folder with cp -rL")
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{said} is neither a regular file nor a folder")
    with os.fdopen(os.open(name, flags, dir_fd=descriptor), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(f"{said} is not a regular file")
        yield file, found.st_size
