"""Markdown that says what it is given: no word of a record becomes a link, a heading or HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

SPECIAL = re.compile(r"[\\`*\[\]<>|~&$]|(?<![^\W_])_|_(?![^\W_])|(?<=:)//|(?<=www)\.")
FIRST = re.compile(r"^(\d{0,9})([#+=.)-])(?=\s|$|[#=+-])")
"""What Markdown, its tables, formulas and bare links are made of."""
LONGEST = 2000


def escaped(text: object) -> str:
    """One line of plain words; what is longer than anybody reads is cut."""
    words = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    if len(words) > LONGEST:
        words = words[:LONGEST] + " …"
    return SPECIAL.sub(lambda found: f"\\{found[0]}", words)


def line(text: object) -> str:
    """The same at the beginning of a line or of a list's entry, where a number or a dash would mean something."""
    return FIRST.sub(r"\1\\\2", escaped(text))


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The header is ours; every cell is escaped."""
    lines = [header, ["---"] * len(header), *([escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def facts(rows: Iterable[tuple[str, object]]) -> str:
    """A list of names and values; a row without a value is left out."""
    return "\n".join(f"- {name}: {escaped(value)}" for name, value in rows if value not in ("", None))


def code(language: str, text: str) -> str:
    """A block that nothing in it can end."""
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text) or [""]))
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
