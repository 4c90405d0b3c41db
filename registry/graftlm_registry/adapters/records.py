"""Records as they are read: those of earlier versions are brought up to date."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from graftlm.contracts.errors import GraftlmError
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import from_json, to_json

from .sealed import is_sealed, seal, unseal


class Digest(msgspec.Struct):
    """All of a record that says what it needs."""

    digest: str


def record_bytes(record: AdapterRecord) -> bytes:
    return seal(to_json(record))


def record_json(path: Path, layout: int) -> bytes:
    """The JSON in a record's file. ``GraftlmError`` where a byte of it was changed; ``OSError`` where it cannot be
    read. Before layout 2 records had no checksum.
    """
    file = path.read_bytes()
    if layout < 2 and not is_sealed(file):
        return file.rstrip(b"\n")
    return unseal(file, f"the record {path}")


def read_record(path: Path, layout: int) -> AdapterRecord:
    """Raises ``GraftlmError`` where the record is damaged, and ``OSError`` where it cannot be read."""
    return parse_record(record_json(path, layout), f"the record {path}")


def parse_record(data: bytes, what: str) -> AdapterRecord:
    """Raises ``GraftlmError``, its sentence about ``what``, where the JSON is no record."""
    try:
        return from_json(data, AdapterRecord, what)
    except GraftlmError:
        old = _loaded(data)
        if old is None:
            raise
        return from_json(json.dumps(old).encode(), AdapterRecord, what)


def read_digest(path: Path, layout: int) -> str:
    """What the record names, and nothing else of it."""
    return from_json(record_json(path, layout), Digest, f"the record {path}").digest


def _loaded(data: bytes) -> dict[str, Any] | None:
    """A record from before a base could be loaded in more than one way, with the way in which it was."""
    try:
        record = json.loads(data)
        base, effective = record["base"], record["effective"]
        known = {"name": base["name"], "dtype": base["dtype"], "attention": effective["attention"]}
    except (ValueError, KeyError, TypeError):
        return None
    return None if "load" in record else {**record, "load": known}
