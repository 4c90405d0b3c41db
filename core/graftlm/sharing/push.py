"""``graftlm adapters push``: an adapter to a place that others can reach."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from graftlm.contracts.errors import StoreError, UsageError
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import to_json
from graftlm_registry.adapters import open_store
from graftlm_registry.adapters.names import check_name
from graftlm_registry.plugins import Registry

from .licence import check_licence
from .manifest import LARGEST, MANIFEST, Manifest, manifest_bytes, manifest_of, read_manifest
from .place import OnBytes, Place
from .portable import CARD, CONFIG, RECORD, TENSORS, check_portable, is_local, write_portable

FILES = frozenset((CONFIG, TENSORS, CARD, RECORD))
HUB = "hf:"
TRIES, PAUSE = 10, 0.05
"""How often a mark that is only begun is looked at again, and the seconds between."""
UNFINISHED = "unfinished"
"""There from before the first file until after the manifest: which record is on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """``to`` is what 'adapters pull' takes. ``changed`` is false where it was there already. ``local`` is the path by
    which the record names the base, if it is one.
    """

    adapter: str
    to: str
    digest: str
    changed: bool
    local: str = ""


def push(
    name: str,
    to: str,
    registry: Registry,
    *,
    as_name: str = "",
    private: bool = False,
    licence: str = "",
    with_notes: bool = False,
    on_bytes: OnBytes = lambda count: None,
) -> Pushed:
    """``to`` is ``hf:OWNER/NAME[@BRANCH]``, or a folder or URL that holds many adapters. ``as_name`` is its name there.

    ``StoreError`` where another adapter has this name and version, or where a hub's repository holds anything but older
    versions of this one, over which it then becomes the newest commit.
    """
    hub = to.startswith(HUB)
    if private and not hub:
        raise UsageError("--private goes with hf:OWNER/NAME: elsewhere the place itself says who may read")
    licence = check_licence(licence)
    store = open_store()
    record = store.get(name)
    check_portable(record, "push")
    folder = Path(tempfile.mkdtemp(prefix="graftlm-"))
    try:
        record = write_portable(record, store, folder, registry, licence, notes=with_notes)
        if as_name and check_name(as_name) != record.name:
            record = replace(record, name=as_name)
            (folder / RECORD).write_bytes(to_json(record) + b"\n")
        if hub:
            from .hub import upload

            where, changed = upload(to, folder, record, private=private)
        else:
            where, changed = push_to_place(record, folder, Place(to), on_bytes)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    reference = record.base.reference
    return Pushed(
        adapter=store.get(name).reference,
        to=where,
        digest=record.digest,
        changed=changed,
        local=reference if is_local(reference) else "",
    )


def push_to_place(record: AdapterRecord, folder: Path, place: Place, on_bytes: OnBytes) -> tuple[str, bool]:
    """Where it is, and whether it is new there. The manifest comes last, and only where there is none."""
    target = f"{record.name}/{record.version}"
    where = place.said(target)
    ours = manifest_of(folder, record.name, record.version)
    if _there(place, target, ours):
        return where, False
    mark = f"{target}/{UNFINISHED}"
    whose = ours.files[RECORD].sha256.encode()
    fresh = _claim(place, mark, whose, where)
    begun: list[str] = []
    try:
        if _there(place, target, ours):  # another push began and ended since the first look
            place.remove(mark)
            return where, False
        for name in sorted(ours.files):
            begun.append(name)
            place.write(folder / name, f"{target}/{name}", on_bytes)
    except BaseException:
        if fresh:
            _take_back(place, [*(f"{target}/{name}" for name in begun), mark])
        raise
    if place.read(mark, LARGEST) != whose and not _there(place, target, ours):
        raise StoreError(f"somebody else changed {where} at the same moment: push it again")
    try:
        place.create(f"{target}/{MANIFEST}", manifest_bytes(ours))
    except FileExistsError:
        pass  # somebody was first
    if not _there(place, target, ours):
        raise StoreError(
            f"{where} could not be written: the manifest there is not the one that was written; push it again"
        )
    place.remove(mark)
    return where, True


def _claim(place: Place, mark: str, whose: bytes, where: str) -> bool:
    """Make the mark, so that nobody else writes there; whether it is new. False where an earlier push of the same
    record left it, which this one goes on with; ``StoreError`` where it is another's.
    """
    for _ in range(TRIES):
        known = place.read(mark, LARGEST)
        if known is None:
            try:
                place.create(mark, whose)
            except FileExistsError:  # somebody was first
                continue
            return True
        if known == whose:
            return False
        if not whose.startswith(known):
            raise StoreError(
                f"{where} holds an unfinished push of another adapter with the same name and version: give yours "
                "another name there with --name, or remove that folder"
            )
        time.sleep(PAUSE)  # it may be being written
    place.remove(mark)  # its push ended while it wrote it, and before any other file
    try:
        place.create(mark, whose)
    except FileExistsError:
        raise StoreError(f"somebody else is pushing to {where} at this moment: push it again") from None
    return True


def _take_back(place: Place, paths: list[str]) -> None:
    """Remove files, the mark last: it stays where any of them cannot be removed, and says that they are not whole."""
    with suppress(StoreError):
        for path in paths:
            place.remove(path)


def _there(place: Place, target: str, ours: Manifest) -> bool:
    """Whether this adapter is there, whole; ``StoreError`` where another one is. A manifest that was cut short, or
    whose files were (by a power cut, say), is removed: the push is made once more.
    """
    path = f"{target}/{MANIFEST}"
    data = place.read(path, LARGEST)
    if data is None:
        return False
    if _cut(data):
        place.remove(path)
        return False
    theirs = read_manifest(data, place.said(path), FILES)
    if any(ours.files.get(name) != theirs.files.get(name) for name in (CONFIG, TENSORS, RECORD)):
        raise StoreError(
            f"{place.said(target)} is another adapter with the same name and version, and what was pushed is never "
            "changed: give yours another name there with --name"
        )
    there = set(place.names(target))
    if any(name not in there or place.size(f"{target}/{name}") != entry.size for name, entry in theirs.files.items()):
        place.remove(path)
        return False
    return True


def _cut(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return True
    return False
