"""Versions of installed distributions."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, distribution


@cache
def installed_version(name: str) -> str:
    """Of a distribution, or the empty string. (``importlib.metadata.version`` parses all metadata, slowly.)"""
    try:
        metadata = distribution(name).read_text("METADATA") or ""
    except PackageNotFoundError:
        return ""
    return next((line[8:].strip() for line in metadata.splitlines() if line.startswith("Version:")), "")
