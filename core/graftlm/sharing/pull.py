"""``graftlm adapters pull``: an adapter from a place, whole and checked, into the store."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from graftlm.contracts.errors import StoreError
from graftlm.contracts.record import AdapterRecord
from graftlm.running.worker_process import OnEvent
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import Registry

from .manifest import LARGEST, MANIFEST, Manifest, check_size, most_bytes, read_manifest
from .place import OnBytes, Place
from .portable import CONFIG, RECORD, TENSORS
from .push import FILES, HUB, UNFINISHED
from .strict_record import read_record

NEEDED = (CONFIG, TENSORS, RECORD)
TOLD = ("chat_template.jinja", "tokenizer_config.json")
"""Beside an adapter that another tool made."""
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Pulled:
    """``source`` is where it was found, and ``version`` is the number that it has there (None: it has no record).
    ``new`` is false where it was in the store already.
    """

    record: AdapterRecord
    source: str
    version: int | None
    new: bool


def pull(
    source: str,
    registry: Registry,
    on_event: OnEvent,
    *,
    name: str = "",
    on_bytes: OnBytes = lambda count: None,
) -> Pulled:
    """``source`` is ``hf:OWNER/NAME[@REVISION]``, or the folder or URL of an adapter: PLACE/NAME (its newest version),
    PLACE/NAME/VERSION, or any folder with an adapter in it. ``name`` is empty for the adapter's own.
    """
    from .bring_in import bring_in

    folder = open_store().stage()
    try:
        if source.startswith(HUB):
            from .hub import downloaded

            downloaded(source, folder)
        else:
            source = fetch(Place(source), folder, on_bytes)
        own, version = _called(folder, source)
        done = bring_in(folder, registry, on_event, name=name or own, source=source)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Pulled(done.record, source, version, done.new)


def _called(folder: Path, source: str) -> tuple[str, int | None]:
    """Name and version by its record; nothing where it has none."""
    path = folder / RECORD
    if not path.is_file():
        return "", None
    record = read_record(path.read_bytes(), f"{source}: {RECORD}")
    return record.name, record.version


def fetch(place: Place, folder: Path, on_bytes: OnBytes) -> str:
    """The files of one adapter, into an empty folder; where they were. Those of a pushed one are what its manifest
    says, to the byte.
    """
    relative, manifest = _found(place)
    inside = f"{relative}/" if relative else ""
    if manifest is None:
        there = set(place.names())
        for name in [each for each in (*NEEDED, *TOLD) if each in there]:
            size = place.size(name)
            check_size(place.said(name), name, size)
            place.fetch(name, folder / name, size or most_bytes(name), on_bytes)  # some do not tell a size
        return place.said("")
    for name in [each for each in NEEDED if each in manifest.files]:
        entry = manifest.files[name]
        path = f"{inside}{name}"
        if place.fetch(path, folder / name, entry.size, on_bytes) != entry.sha256:
            raise StoreError(f"{place.said(path)} is damaged: it is not what its manifest says")
    return place.said(relative)


def _found(place: Place) -> tuple[str, Manifest | None]:
    """The folder of an adapter below the place, and its manifest where it has one."""
    names = place.names()
    data = place.read(MANIFEST, LARGEST) if MANIFEST in names else None
    if data is not None:
        return "", read_manifest(data, place.said(MANIFEST), FILES)
    versions = sorted((int(name) for name in names if name.isdigit() and name.isascii()), reverse=True)
    if UNFINISHED in names:
        raise StoreError(f"{place.url} is not whole: its push was interrupted, so push it again")
    if CONFIG in names:
        return "", None
    for version in versions:
        data = place.read(f"{version}/{MANIFEST}", LARGEST)
        if data is not None:
            return str(version), read_manifest(data, place.said(f"{version}/{MANIFEST}"), FILES)
    if versions:
        raise StoreError(f"{place.url} has no whole version: its push was interrupted, so push it again")
    adapters = [name for name in names if any(each.isdigit() for each in place.names(name))]
    if adapters:
        more = f", and {len(adapters) - SHOWN} more" if len(adapters) > SHOWN else ""
        raise StoreError(
            f"{place.url} holds {', '.join(adapters[:SHOWN])}{more}: name the one to pull, as in "
            f"{place.said(adapters[0])}"
        )
    raise StoreError(f"{place.url} holds no adapter" if names else f"there is nothing at {place.url}")
