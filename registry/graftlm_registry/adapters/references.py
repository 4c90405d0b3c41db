"""How an adapter is named: NAME is its newest version, NAME@3 its third, NAME@TAG the one that has the tag."""

from __future__ import annotations

import re
from dataclasses import dataclass

from graftlm.contracts.errors import StoreError

from .names import RESERVED, check_name

TAG = re.compile(r"[a-z](?:[a-z0-9_-]|\.(?=[a-z0-9])){0,63}")
VERSION = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Reference:
    """At most one of ``version`` and ``tag`` is given."""

    name: str
    version: int | None = None
    tag: str = ""


def read_reference(text: str) -> Reference:
    """``StoreError`` where it is none."""
    name, at, rest = text.partition("@")
    check_name(name)
    if not at:
        return Reference(name)
    if VERSION.fullmatch(rest):
        return Reference(name, version=int(rest))
    if TAG.fullmatch(rest):
        return Reference(name, tag=rest)
    raise StoreError(f"{text!r} has neither a version number nor a tag behind the '@'")


def check_tag(tag: str) -> str:
    """The tag itself; ``StoreError`` where it is none."""
    if not TAG.fullmatch(tag) or tag.partition(".")[0] in RESERVED:
        shown = tag if len(tag) <= 80 else f"{tag[:80]}…"
        raise StoreError(
            f"{shown!r} is not a tag: use up to 64 lower-case letters, digits, '-', '_' and '.', starting with a letter"
        )
    return tag
