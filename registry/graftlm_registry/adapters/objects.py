"""The kept files of adapters: put into their place, taken out of it, found again."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from graftlm.contracts.errors import GraftlmError

from .content import content_digest
from .durable import make_folder, move, remove_file, sync_folder
from .layout import Layout
from .live import announced, being_published, named
from .manifest import faults

TAKEN = (errno.ENOTEMPTY, errno.EEXIST)
DAMAGED = "damaged-"
STAMP = "%Y%m%dT%H%M%S%fZ"


def place(staged: Path, target: Path) -> bool:
    """Move a staged folder to its place; False where there is one already, and the staged one stays."""
    try:
        move(staged, target)
    except OSError as error:
        if error.errno not in TAKEN:
            raise
        sync_folder(target.parent)  # whoever put it there may not have come to that
        return False
    return True


def whole(folder: Path, digest: str) -> bool:
    """Whether it holds the object, every byte of it."""
    try:
        return not any(faults(folder)) and content_digest(folder) == digest
    except (OSError, GraftlmError):
        return False


def withdraw(layout: Layout, digest: str, staged: Path) -> None:
    """Take an object back out, unless somebody else has come to rely on it in the meantime."""
    if others_need(layout, digest, staged):
        return
    move(layout.objects / digest, staged)
    if others_need(layout, digest, staged):
        place(staged, layout.objects / digest)


def others_need(layout: Layout, digest: str, staged: Path) -> bool:
    """Whether a record names it, or another publishes it."""
    others = [path for path in being_published(layout, ended=False).get(digest, []) if path != staged]
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


def set_aside(layout: Layout, digest: str) -> None:
    """Take a damaged object out of the way of a good copy: into the trash, under a name that nobody takes it by."""
    make_folder(layout.trash)
    with suppress(FileNotFoundError):  # another was faster
        move(layout.objects / digest, layout.trash / f"{DAMAGED}{digest}.{datetime.now(UTC).strftime(STAMP)}")


def bring_back(layout: Layout, digest: str, marker: Path) -> bool:
    """Take the mark of a removed version away, once its object is in its place; False, and nothing changes, where that
    was deleted.
    """
    with announced(layout, digest, layout.fresh("restoring")):  # from here on it is not deleted
        if (layout.objects / digest).is_dir():
            sync_folder(layout.objects)  # whoever put it there may not have come to that
        elif not from_trash(layout, digest):
            return False
        remove_file(marker, layout.fresh("restored"))
        with suppress(OSError):  # a collection that had looked before may have taken it; it would bring it back itself
            if not (layout.objects / digest).is_dir():
                from_trash(layout, digest)
    return True


def to_trash(layout: Layout, digest: str, now: datetime) -> Path:
    target = layout.trash / f"{digest}.{now.strftime(STAMP)}"
    move(layout.objects / digest, target)
    return target


def delete(layout: Layout, folder: Path) -> None:
    """Out of sight at once, then file by file: what is cut short here is swept out of staging later."""
    gone = layout.fresh("deleting")
    folder.rename(gone)
    sync_folder(folder.parent)  # or half of it could be back after a power loss
    gone.unlink() if gone.is_symlink() else shutil.rmtree(gone)
