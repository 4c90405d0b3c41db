"""The kept files of adapters: put into their place, taken out of it, found again."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from .durable import move
from .layout import Layout
from .live import being_published, named

TAKEN = (errno.ENOTEMPTY, errno.EEXIST)
STAMP = "%Y%m%dT%H%M%S%fZ"


def place(staged: Path, target: Path) -> bool:
    """Move a staged folder to its place; False where there is one already, and the staged one stays."""
    try:
        move(staged, target)
    except OSError as error:
        if error.errno not in TAKEN:
            raise
        return False
    return True


def withdraw(layout: Layout, digest: str, staged: Path) -> None:
    """Take an object back out, unless somebody else has come to rely on it in the meantime."""
    if others_need(layout, digest, staged):
        return
    move(layout.objects / digest, staged)
    if others_need(layout, digest, staged):
        place(staged, layout.objects / digest)


def others_need(layout: Layout, digest: str, staged: Path) -> bool:
    """Whether a record names it, or another publishes it."""
    others = [path for path in being_published(layout).get(digest, []) if path != staged]
    return bool(others) or digest in named(layout)


def ensure(layout: Layout, digest: str, staged: Path) -> None:
    """Put an object back that was thrown away while its record was being written, out of the staged copy."""
    if not (layout.objects / digest).is_dir() and not from_trash(layout, digest) and staged.is_dir():
        place(staged, layout.objects / digest)


def thrown_away(layout: Layout) -> Iterator[tuple[Path, str, datetime]]:
    """What lies in the trash: the folder, its digest, and when it came there."""
    if not layout.trash.is_dir():
        return
    for path in sorted(layout.trash.iterdir()):
        digest, _, stamp = path.name.partition(".")
        try:
            yield path, digest, datetime.strptime(stamp, STAMP).replace(tzinfo=UTC)
        except ValueError:
            continue


def find(layout: Layout, digest: str) -> Path | None:
    """The folder of an object, wherever it lies."""
    folder = layout.objects / digest
    if folder.is_dir():
        return folder
    for path, its, _ in thrown_away(layout):
        if its == digest:
            return path
    return folder if folder.is_dir() else None  # it may have come back in between


def from_trash(layout: Layout, digest: str) -> bool:
    """Bring an object back; False where it is not in the trash."""
    for path, its, _ in thrown_away(layout):
        if its == digest:
            try:
                place(path, layout.objects / digest)
            except FileNotFoundError:
                continue  # somebody else did
            return True
    return False


def to_trash(layout: Layout, digest: str, now: datetime) -> Path:
    target = layout.trash / f"{digest}.{now.strftime(STAMP)}"
    move(layout.objects / digest, target)
    return target


def delete(layout: Layout, folder: Path) -> None:
    """Out of sight at once, then file by file: what is cut short here is swept out of staging later."""
    gone = layout.fresh("deleting")
    folder.rename(gone)
    shutil.rmtree(gone)
