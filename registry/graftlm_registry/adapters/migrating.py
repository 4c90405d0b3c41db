"""Bringing a store of an earlier layout up to date. It can be cut short anywhere and begun again: readers of this
release understand every state in between, and the layout's version changes last.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from graftlm.contracts.errors import GraftlmError, StoreError

from .content import MANIFEST, content_digest
from .durable import make_folder, replace_file, sync_folder
from .layout import LAYOUT, Layout, layout_bytes
from .manifest import manifest_of
from .records import parse_record
from .sealed import is_sealed, seal
from .versions import folders


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """``before`` is the layout that was found; ``records`` and ``folders`` were given a checksum, or a manifest."""

    before: int
    records: int
    folders: int


def migrate(layout: Layout, progress: Callable[[str], None] = lambda what: None) -> Migrated:
    """``StoreError`` where something is damaged: nothing may be sealed that is not as it was written."""
    before = layout.version()
    if before == LAYOUT:
        if layout.root.is_dir():
            sync_folder(layout.root)  # one that was cut short may not have come to that
        return Migrated(before=before, records=0, folders=0)
    make_folder(layout.staging)
    manifests = records = 0
    for digest in folders(layout.objects):
        folder = layout.objects / digest
        if not (folder / MANIFEST).exists():
            if not _sound(folder, digest):
                raise StoreError(f"{folder} is damaged: move it away, bring the adapter back from a copy, and go on")
            manifests += _manifest(layout, folder)
            progress(digest[:12])
        sync_folder(folder)  # one that was cut short may not have come to that
    for name in folders(layout.adapters):
        for path in sorted((layout.adapters / name).iterdir()):  # glob passes over a folder that it may not read
            if path.suffix != ".json":
                continue
            file = path.read_bytes()
            if not is_sealed(file):
                data = file.rstrip(b"\n")
                _check(data, path)
                replace_file(path, seal(data), layout.fresh("migrated"))
                records += 1
                progress(name)
        sync_folder(layout.adapters / name)
    for name in folders(layout.evaluations):
        for number in folders(layout.evaluations / name):
            for kept in folders(layout.evaluations / name / number):
                folder = layout.evaluations / name / number / kept
                manifests += _manifest(layout, folder) if not (folder / MANIFEST).exists() else 0
                sync_folder(folder)
    replace_file(layout.version_file, layout_bytes(LAYOUT), layout.fresh("layout"))
    return Migrated(before=before, records=records, folders=manifests)


def _sound(folder: Path, digest: str) -> bool:
    with suppress(GraftlmError):
        return content_digest(folder) == digest
    return False


def _manifest(layout: Layout, folder: Path) -> int:
    replace_file(folder / MANIFEST, manifest_of(folder), layout.fresh("manifest"))
    return 1


def _check(data: bytes, path: Path) -> None:
    try:
        parse_record(data, f"the record {path}")
    except GraftlmError as error:
        raise StoreError(f"{error}: move it away, and go on") from None
