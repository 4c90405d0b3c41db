"""Values to JSON and back, strictly typed; and digests of them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from .errors import GraftlmError

T = TypeVar("T")


def to_json(value: Any) -> bytes:
    """UTF-8 JSON, keys of mappings sorted, so that equal values give equal bytes."""
    return msgspec.json.encode(value, order="deterministic", enc_hook=_encode)


def to_builtins(value: Any) -> Any:
    return msgspec.to_builtins(value, order="deterministic", enc_hook=_encode)


def from_json(data: bytes | str, kind: type[T], what: str) -> T:
    """Raises ``GraftlmError`` that names ``what`` where the JSON does not fit the type."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise GraftlmError(f"{what} cannot be read: {error}") from None


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hex."""
    return hashlib.sha256(to_json(value)).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _encode(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")
