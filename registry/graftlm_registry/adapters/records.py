"""Records as they are read: those of earlier versions are brought up to date."""

from __future__ import annotations

import json
from typing import Any

from graftlm.contracts.errors import GraftlmError
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import from_json


def read_record(data: bytes, what: str) -> AdapterRecord:
    """Raises ``GraftlmError``, its sentence about ``what``, where the record is damaged."""
    try:
        return from_json(data, AdapterRecord, what)
    except GraftlmError:
        old = _loaded(data)
        if old is None:
            raise
        return from_json(json.dumps(old).encode(), AdapterRecord, what)


def _loaded(data: bytes) -> dict[str, Any] | None:
    """A record from before a base could be loaded in more than one way, with the way in which it was."""
    try:
        record = json.loads(data)
        base, effective = record["base"], record["effective"]
        known = {"name": base["name"], "dtype": base["dtype"], "attention": effective["attention"]}
    except (ValueError, KeyError, TypeError):
        return None
    return None if "load" in record else {**record, "load": known}
