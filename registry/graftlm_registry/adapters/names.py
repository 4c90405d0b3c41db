"""Names of adapters: the same on every file system, and never a path."""

from __future__ import annotations

import re

from graftlm.contracts.errors import StoreError

PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9_-]|\.(?=[a-z0-9]))*")
LONGEST = 64
RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{d}{i}" for d in ("com", "lpt") for i in range(10))})


def check_name(name: str) -> str:
    """The name itself; ``StoreError`` where it is none."""
    if len(name) > LONGEST or not PATTERN.fullmatch(name) or name.partition(".")[0] in RESERVED:
        said = name if len(name) <= 80 else name[:77] + "..."
        raise StoreError(
            f"{said!a} is not a name for an adapter: use up to {LONGEST} lower-case letters, digits, '-', '_' and '.', "
            "starting with a letter or a digit"
        )
    return name
