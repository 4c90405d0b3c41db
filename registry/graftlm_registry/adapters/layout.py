"""Where everything lies in a store.

::

    store/layout.json             the layout's version
    store/staging/                what is being written, on the same file system
    store/objects/DIGEST/         an adapter's files, immutable, with their manifest
    store/adapters/NAME/N.json    the record of version N, created exclusively; sealed
    store/adapters/NAME/N.removed.json   version N was removed; its record stays, so that nobody gets its number
    store/tags/NAME/TAG.json      the version that has the tag; sealed
    store/notes/NAME/N/….json     notes on version N; sealed
    store/evaluations/NAME/N/…/   later evaluations of version N, with their samples and a manifest
    store/trash/DIGEST.TIME/      what nobody names any more, until it is deleted
    store/index.sqlite            what the records say, to find them quickly; made anew where it lacks
"""

from __future__ import annotations

import errno
import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from graftlm.contracts.errors import StoreError
from graftlm.contracts.serial import from_json, to_json

LAYOUT = 2
REASONS = {
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "your share of the disk is used up: free some space",
    errno.EROFS: "its file system is read-only: set GRAFTLM_HOME to a folder that can be written",
    errno.EACCES: "it may not be written: set GRAFTLM_HOME to a folder that can be",
    errno.EPERM: "it may not be written: set GRAFTLM_HOME to a folder that can be",
    errno.EXDEV: "a part of it lies on another disk, by a link: a store must lie on one disk, so move the whole of it",
    errno.ENOTDIR: "a file stands where a folder should: set GRAFTLM_HOME to a folder",
    errno.EEXIST: "a file stands where a folder should: set GRAFTLM_HOME to a folder",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of a store, which need not be there."""

    root: Path

    @property
    def version_file(self) -> Path:
        return self.root / "layout.json"

    @property
    def staging(self) -> Path:
        return self.root / "staging"

    @property
    def objects(self) -> Path:
        return self.root / "objects"

    @property
    def adapters(self) -> Path:
        return self.root / "adapters"

    @property
    def tags(self) -> Path:
        return self.root / "tags"

    @property
    def notes(self) -> Path:
        return self.root / "notes"

    @property
    def evaluations(self) -> Path:
        return self.root / "evaluations"

    @property
    def trash(self) -> Path:
        return self.root / "trash"

    @property
    def index(self) -> Path:
        return self.root / "index.sqlite"

    def record(self, name: str, version: int) -> Path:
        return self.adapters / name / f"{version}.json"

    def removed(self, name: str, version: int) -> Path:
        return self.adapters / name / f"{version}.removed.json"

    def fresh(self, what: str) -> Path:
        """A name of its own in staging, which tells whose it is (see ``owner_is_gone``)."""
        return self.staging / f"{what}.{os.getpid()}.{here()}.{os.urandom(6).hex()}"

    def version(self) -> int:
        """The store's layout; this graftlm's own where there is no store yet. ``StoreError`` where it is later."""
        try:
            found = from_json(self.version_file.read_bytes(), dict[str, int], str(self.version_file)).get("layout", 0)
        except FileNotFoundError:
            return LAYOUT
        if found > LAYOUT:
            raise StoreError(
                f"the store {self.root} has layout {found}, and this graftlm knows {LAYOUT}: update graftlm"
            )
        return found


def layout_bytes(version: int) -> bytes:
    return to_json({"layout": version}) + b"\n"


def here() -> str:
    """This machine since it was started, as far as process numbers mean the same, in 8 hex digits."""
    known = [socket.gethostname()]
    with suppress(OSError):
        known.append(str(Path("/proc/self/ns/pid").readlink()))
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))  # clones share their name
    return hashlib.sha256(" ".join(known).encode()).hexdigest()[:8]


def owner_is_gone(staged: str) -> bool | None:
    """Whether the process that made a name in staging has ended; None where that cannot be known from here."""
    parts = staged.split(".")
    if len(parts) < 3:
        return None
    number, where = (parts[-3], parts[-2]) if len(parts) > 3 else (parts[-2], here())
    if where != here() or not number.isdigit():
        return None
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


@contextmanager
def explained(root: Path) -> Iterator[None]:
    """The file system's errors, as sentences."""
    try:
        yield
    except OSError as error:
        why = REASONS.get(error.errno or 0, str(error))
        raise StoreError(f"the store {root} cannot be used: {why}") from error
