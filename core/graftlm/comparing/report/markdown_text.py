"""Text, tables and lists in Markdown that reads well both raw and rendered, whatever the names are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_WIDEST = 48  # a column is padded to its longest text up to here, so that one long text does not stretch all rows
_FIGURE = re.compile(r"–|[+−]?[\d.,]+%?( ([KMGT]i)?B| m?s| µs| min)?( \([^()]*\))?")


def pairs(title: str, told: Mapping[str, str], as_code: bool = False) -> list[str]:
    if not told:
        return []
    if as_code:
        return [f"**{title}:** " + ", ".join(code(f"{name}={value}") for name, value in told.items() if value)]
    return [f"**{title}:**", "\n".join(f"- {text(name)}: {text(value)}" for name, value in told.items() if value)]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Padded, so that it is a table in a terminal too. Columns that nothing stands in are left out."""
    kept = [i for i in range(len(head)) if i == 0 or any(row[i] for row in rows)]
    lines = [[text(head[i]) for i in kept], *([row[i] or "–" for i in kept] for row in rows)]
    widths = [min(_WIDEST, max(len(line[i]) for line in lines)) for i in range(len(kept))]
    right = [i > 0 and all(_FIGURE.fullmatch(line[i]) for line in lines[1:]) for i in range(len(kept))]
    rule = [
        ("-" * (max(width, 3) - 1) + ":") if r else "-" * max(width, 3) for width, r in zip(widths, right, strict=True)
    ]
    out = [_line(lines[0], widths, right), f"| {' | '.join(rule)} |"]
    return "\n".join(out + [_line(line, widths, right) for line in lines[1:]])


def _line(texts: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = [
        said.rjust(max(width, 3)) if r else said.ljust(max(width, 3))
        for said, width, r in zip(texts, widths, right, strict=True)
    ]
    return f"| {' | '.join(padded)} |"


def text(said: str, before: str = "") -> str:
    """Text that Markdown shows as it is, in a table as well."""
    flat = re.sub(r"\s+", " ", said).strip()
    flat = re.sub(r"([\\`*\[\]|~])|(?<!\w)(_)|(_)(?!\w)", lambda found: "\\" + found[0], flat)
    flat = flat.replace("&", "&amp;").replace("<", "&lt;")
    return before + re.sub(r"^([#>+-])", r"\\\1", flat)


def code(said: str, in_table: bool = False) -> str:
    """As code, between as many backticks as it takes. Only in a table does a pipe in code have to be escaped."""
    flat = re.sub(r"\s+", " ", said).strip() or "-"
    flat = flat.replace("|", "\\|") if in_table else flat
    longest = max((len(run) for run in re.findall("`+", flat)), default=0)
    fence, space = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{space}{flat}{space}{fence}"


def joined(parts: Sequence[str]) -> str:
    """Paragraphs with an empty line between, items of one list without."""
    out = ""
    for part in filter(None, parts):
        out += (
            "\n" if out.rpartition("\n\n")[2].startswith("- ") and part.startswith("- ") else "\n\n" if out else ""
        ) + part
    return out + "\n"
