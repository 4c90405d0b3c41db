"""Publishing: files into their place, then a record that names them, under a number that nobody has had."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from graftlm.contracts.errors import GraftlmError, StoreError
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import to_json

from .content import content_digest
from .durable import create_exclusively, make_folder, sync_folder, sync_tree
from .layout import LAYOUT, Layout
from .live import announced
from .manifest import write_manifest
from .objects import ensure, place, set_aside, whole, withdraw
from .records import parse_record, read_record, record_bytes
from .versions import given, highest

TRIES = 100_000
"""Of claiming a number: many more than there can be writers."""


def publish(layout: Layout, staged: Path, draft: AdapterRecord) -> AdapterRecord:
    """The record as the store has it; the staged folder is gone. Where this fails nothing was published. Files that are
    there already serve as well, unless they are damaged: then these take their place.
    """
    if content_digest(staged) != draft.digest:
        raise StoreError(f"the staged adapter in {staged} is not the one that was proved: nothing was published")
    digest = draft.digest
    before = highest(layout, draft.name)
    with announced(layout, digest, staged):
        write_manifest(staged)
        sync_tree(staged)
        placed = new = place(staged, layout.objects / digest)
        if not placed and not whole(layout.objects / digest, digest):
            set_aside(layout, digest)
            placed = place(staged, layout.objects / digest)
        try:
            # where the files were not there before, no version of before can have them
            record = _claim(layout, draft, before if new else 0)
        except BaseException:
            if placed:
                with suppress(OSError, GraftlmError):
                    withdraw(layout, digest, staged)
            raise
        ensure(layout, digest, staged)
    shutil.rmtree(staged, ignore_errors=True)
    return record


def _claim(layout: Layout, draft: AdapterRecord, before: int) -> AdapterRecord:
    """A version of one's own, or the one that the same run published with the same files; those up to ``before`` are
    certainly not that one.
    """
    folder, number = layout.adapters / draft.name, before
    try:
        for _ in range(TRIES):
            while given(layout, draft.name, number + 1):
                number += 1
                if not layout.removed(draft.name, number).exists() and (same := _same(layout, draft, number)):
                    sync_folder(folder)  # whoever published it may not have come to that
                    return same
            record = replace(draft, version=number + 1)
            path = layout.record(record.name, record.version)
            try:
                make_folder(folder)
                create_exclusively(path, record_bytes(record), layout.fresh("record"))
            except (FileExistsError, FileNotFoundError):  # another took the number, or an empty folder away
                continue
            return parse_record(to_json(record), str(path))  # as it will be read
    except BaseException:
        with suppress(OSError):
            folder.rmdir()
        raise
    raise StoreError(f"no number could be claimed for {draft.name} in {folder}: is its file system sound?")


def _same(layout: Layout, draft: AdapterRecord, version: int) -> AdapterRecord | None:
    try:
        known = read_record(layout.record(draft.name, version), LAYOUT)
    except (GraftlmError, OSError):
        return None  # a damaged record must not keep a finished run from being kept
    if (known.name, known.version) != (draft.name, version) or (known.run, known.digest) != (draft.run, draft.digest):
        return None
    return known if draft.run or _choices(known) == _choices(parse_record(to_json(draft), "the draft")) else None


def _choices(record: AdapterRecord) -> tuple[object, ...]:
    """What makes another adapter of the same files, where no run tells them apart."""
    made = (record.origin, record.method, record.parents, record.hyperparameters)
    return (record.base.files_digest, record.load, record.template, record.template_hash, record.thinking, *made)
