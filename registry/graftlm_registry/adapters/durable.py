"""Writes that survive a crash: a file or a folder is either not there, or there whole.

The order is what matters: a file's bytes, the folder that lists it, the rename, the folder above.
"""

from __future__ import annotations

import os
from pathlib import Path


def sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Every file of a flat folder, then the folder."""
    for path in sorted(folder.iterdir()):
        sync_file(path)
    sync_folder(folder)


def make_folder(path: Path) -> None:
    """``mkdir -p`` whose result survives."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for made in missing:
        sync_folder(made.parent)


def create_exclusively(path: Path, data: bytes, staging: Path) -> None:
    """Write a file that must not be there yet; ``FileExistsError`` where it is."""
    temporary = staging / f"{path.name}.{os.getpid()}.{os.urandom(6).hex()}"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
