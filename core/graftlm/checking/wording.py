"""How findings say rows, and words of the data."""

from __future__ import annotations

LONGEST = 400
"""Characters of somebody's words that are shown."""


def rows_have(count: int, one: str = "has", many: str = "have") -> str:
    """``1 row has``, ``2,000 rows have``."""
    return f"1 row {one}" if count == 1 else f"{count:,} rows {many}"


def rows_of(count: int) -> str:
    """``1 row``, ``2,000 rows``."""
    return "1 row" if count == 1 else f"{count:,} rows"


def share(count: int, total: int) -> str:
    return f"{count / max(1, total):.1%}"


def shown(words: str, most: int = LONGEST) -> str:
    """The words with … for the middle where they are long, and nothing that a terminal would obey."""
    if len(words) > most:
        words = f"{words[: most // 2]} … {words[len(words) - most // 2 :]}"
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in words)


def quoted(words: str, most: int = 40) -> str:
    return f"'{shown(words, most)}'"
