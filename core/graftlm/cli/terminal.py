"""Text from files, as a terminal may be given it."""

from __future__ import annotations


def visible(text: str) -> str:
    """Nothing in it that a terminal would obey, but for line ends and tabs."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)
