"""What must not be thrown away: the objects that a record names, and those that somebody is publishing.

Whoever publishes says so first, by a file in staging whose name holds the digest, and takes that back only when the
record stands and the object lies in its place. So whoever looks at these files first and at the records afterwards
misses nothing: what is no longer being published is named by a record by then.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from graftlm.contracts.errors import GraftlmError, StoreError

from .layout import Layout, owner_is_gone
from .records import read_digest
from .versions import folders, versions

PUBLISHING = "publishing"


@contextmanager
def announced(layout: Layout, digest: str, staged: Path) -> Iterator[None]:
    """While this lasts, nobody throws the object away."""
    said = layout.staging / f"{PUBLISHING}.{digest}.{staged.name}"
    os.close(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    try:
        yield
    finally:
        with suppress(OSError):
            said.unlink()


def being_published(layout: Layout, *, ended: bool) -> dict[str, list[Path]]:
    """By digest, the staged folders of those who publish it; or of those who were publishing it when they ended."""
    found: dict[str, list[Path]] = {}
    with suppress(FileNotFoundError):
        for name in (path.name for path in layout.staging.iterdir()):
            if name.startswith(f"{PUBLISHING}.") and bool(owner_is_gone(name)) is ended:
                digest, _, staged = name.removeprefix(f"{PUBLISHING}.").partition(".")
                found.setdefault(digest, []).append(layout.staging / staged)
    return found


def named(layout: Layout) -> set[str]:
    """The digests that the records name. ``StoreError`` where one of them cannot be read: its object would be lost."""
    found, version = set(), layout.version()
    for name in folders(layout.adapters):
        for number in versions(layout, name).kept:
            path = layout.record(name, number)
            try:
                found.add(read_digest(path, version))
            except FileNotFoundError:
                pass  # removed this moment
            except (OSError, GraftlmError) as error:
                raise StoreError(
                    f"nothing was thrown away: {error}. Bring that file back from a copy, or give the adapter up: "
                    f"graftlm adapters rm {name}@{number}"
                ) from error
    return found


def live(layout: Layout) -> set[str]:
    """Both kinds, in this order."""
    published = set(being_published(layout, ended=False))
    return published | named(layout)
