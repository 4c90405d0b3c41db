"""Small files with a checksum: a line of JSON, and a line with its SHA-256. No byte of them can change unnoticed."""

from __future__ import annotations

import hashlib

from graftlm.contracts.errors import StoreError


def seal(data: bytes) -> bytes:
    """The bytes of the file; ``data`` is one line of JSON."""
    return data + b"\n" + _checksum(data)


def unseal(file: bytes, what: str) -> bytes:
    """The JSON; ``StoreError``, its sentence about ``what``, where a byte is not as it was written."""
    data, newline, checksum = file.partition(b"\n")
    if not newline or checksum != _checksum(data):
        raise StoreError(f"{what} is damaged: it is not as it was written (its checksum differs)")
    return data


def is_sealed(file: bytes) -> bool:
    """Whether there is a second line, right or wrong."""
    return bool(file.partition(b"\n")[2])


def _checksum(data: bytes) -> bytes:
    return b'{"sha256":"%s"}\n' % hashlib.sha256(data).hexdigest().encode()
