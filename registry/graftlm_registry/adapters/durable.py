"""Writes that survive a crash: a file or a folder is either not there, or there whole.

The order is what matters: a file's bytes, the folder that lists it, the rename, the folder above. Where the last step
fails, the one before it is taken back, so that an error means that nothing happened.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""What a file system without hard links says of one."""
CLAIM = ".claim"


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
    """``mkdir -p`` whose result survives.

    From the top down, each synced before there is anything in it: so only one that is empty may be another's, who has
    not come to that yet.
    """
    unsure = list(takewhile(_missing_or_empty, (path, *path.parents)))
    made: list[Path] = []
    with _taken_back(lambda: _remove_empty(made)):
        for folder in reversed(unsure):
            with suppress(FileExistsError):
                folder.mkdir()
                made.insert(0, folder)
            sync_folder(folder.parent)


def _missing_or_empty(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except FileNotFoundError:
        return True


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        folder.rmdir()


def create_exclusively(path: Path, data: bytes, temporary: Path) -> None:
    """Write a file that must not be there yet; ``FileExistsError`` where it is."""
    with _written(temporary, data):
        try:
            os.link(temporary, path)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            _claim(path)
            temporary.rename(path)
        with _taken_back(path.unlink):
            sync_folder(path.parent)


def _claim(path: Path) -> None:
    """Without hard links: a file that only one can make gives the right to the name, for ever."""
    os.close(os.open(path.with_name(path.name + CLAIM), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    if path.exists():  # another made it by a link
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def replace_file(path: Path, data: bytes, temporary: Path) -> None:
    """Write a file, or put it into the place of one that is there."""
    old = path.read_bytes() if path.exists() else None

    def back() -> None:
        if old is None:
            path.unlink()
        else:
            temporary.write_bytes(old)
            temporary.rename(path)

    with _written(temporary, data):
        temporary.rename(path)
        with _taken_back(back):
            sync_folder(path.parent)


def move(source: Path, target: Path) -> None:
    """Rename, so that it survives."""
    source.rename(target)
    with _taken_back(lambda: target.rename(source)):
        sync_folder(target.parent)


def remove_file(path: Path, temporary: Path) -> None:
    """Out of sight at once, so that it survives."""
    path.rename(temporary)
    with _taken_back(lambda: temporary.rename(path)):
        sync_folder(path.parent)
    with suppress(OSError):  # what is left over is swept away later
        temporary.unlink()


@contextmanager
def _written(temporary: Path, data: bytes) -> Iterator[None]:
    """A file whose bytes are on the disk, and which is gone in the end."""
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield
    finally:
        with suppress(OSError):  # what is left over is swept away later
            temporary.unlink(missing_ok=True)


@contextmanager
def _taken_back(undo: Callable[[], object]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):
            undo()
        raise
