"""``graftlm adapters push``: an adapter to a place that others can reach."""

from __future__ import annotations

import json
import shutil
import tempfile
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
    on_bytes: OnBytes = lambda count: None,
) -> Pushed:
    """``to`` is ``hf:OWNER/NAME[@BRANCH]``, or a folder or URL that holds many adapters. ``as_name`` is its name there.

    Nothing that is there is ever changed: ``StoreError`` where another adapter has this name and version.
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
        record = write_portable(record, store, folder, registry, licence)
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
    known = place.read(mark, LARGEST)
    whose = ours.files[RECORD].sha256.encode()
    if known is not None and not whose.startswith(known):
        raise StoreError(
            f"{where} holds an unfinished push of another adapter with the same name and version: give yours another "
            "name there with --name, or remove that folder"
        )
    place.mark(mark, whose)
    for name in sorted(ours.files):
        place.write(folder / name, f"{target}/{name}", on_bytes)
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
