"""Tags and notes: small sealed files beside a record, which never changes."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from graftlm.contracts.errors import StoreError
from graftlm.contracts.serial import from_json, to_json

from .durable import CLAIM, create_exclusively, make_folder, remove_file, replace_file
from .layout import Layout
from .sealed import seal, unseal


@dataclass(frozen=True, slots=True)
class Tag:
    """``created`` is UTC in ISO 8601."""

    version: int
    created: str


@dataclass(frozen=True, slots=True)
class Note:
    """``created`` is UTC in ISO 8601."""

    text: str
    created: str


def set_tag(layout: Layout, name: str, version: int, tag: str) -> None:
    path = tag_path(layout, name, tag)
    make_folder(path.parent)
    try:
        replace_file(path, seal(to_json(Tag(version, _now()))), layout.fresh("tag"))
    except BaseException:
        with suppress(OSError):
            path.parent.rmdir()
        raise


def remove_tag(layout: Layout, name: str, tag: str) -> None:
    """``FileNotFoundError`` where there is none."""
    remove_file(tag_path(layout, name, tag), layout.fresh("tag"))


def read_tag(layout: Layout, name: str, tag: str) -> Tag | None:
    path = tag_path(layout, name, tag)
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return from_json(unseal(data, f"the tag {path}"), Tag, f"the tag {path}")


def tags(layout: Layout, name: str) -> dict[str, int]:
    """The version of each tag; ``StoreError`` where one is damaged."""
    found = ((tag, read_tag(layout, name, tag)) for tag in tag_names(layout, name))
    return {tag: its.version for tag, its in found if its is not None}


def tag_names(layout: Layout, name: str) -> list[str]:
    try:
        return sorted(path.name.removesuffix(".json") for path in (layout.tags / name).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def tag_path(layout: Layout, name: str, tag: str) -> Path:
    return layout.tags / name / f"{tag}.json"


def add_note(layout: Layout, name: str, version: int, text: str) -> Note:
    """``StoreError`` where there is nothing in it."""
    if not text.strip():
        raise StoreError("an empty note says nothing")
    note = Note(text, _now())
    folder = layout.notes / name / str(version)
    make_folder(folder)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    try:
        create_exclusively(folder / f"{stamp}-{os.urandom(3).hex()}.json", seal(to_json(note)), layout.fresh("note"))
    except BaseException:
        with suppress(OSError):
            folder.rmdir()
            folder.parent.rmdir()
        raise
    return note


def notes(layout: Layout, name: str, version: int) -> tuple[Note, ...]:
    """The oldest first; ``StoreError`` where one is damaged."""
    return tuple(read_note(path) for path in note_files(layout, name, version))


def note_files(layout: Layout, name: str, version: int) -> list[Path]:
    folder = layout.notes / name / str(version)
    return sorted(path for path in folder.iterdir() if path.suffix != CLAIM) if folder.is_dir() else []


def read_note(path: Path) -> Note:
    return from_json(unseal(path.read_bytes(), f"the note {path}"), Note, f"the note {path}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
