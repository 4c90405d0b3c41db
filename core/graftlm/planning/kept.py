"""Values that were found out before."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from graftlm.contracts.errors import GraftlmError
from graftlm.contracts.serial import from_json

T = TypeVar("T")


def kept_value(path: Path, kind: type[T]) -> T | None:
    """What ``keep`` kept; None where it is not there, or damaged: then it is found out again."""
    try:
        return from_json(path.read_bytes(), kind, str(path))
    except (OSError, GraftlmError):
        return None
