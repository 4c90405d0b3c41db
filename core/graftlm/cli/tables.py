"""Plain tables: columns as wide as they must be."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from textwrap import wrap

import click


def table(rows: Iterable[Sequence[str]], header: Sequence[str] = ()) -> str:
    """Lines of aligned columns; the last column wraps at the terminal's width."""
    lines = [list(row) for row in ([header] if header else [])] + [list(row) for row in rows]
    if not lines:
        return ""
    widths = [max(len(row[i]) for row in lines) for i in range(len(lines[0]) - 1)]
    indent = sum(widths) + 2 * len(widths)
    room = max(24, shutil.get_terminal_size((110, 20)).columns - indent)
    out = []
    for number, row in enumerate(lines):
        parts = [row[-1]] if len(row[-1]) <= room and row[-1].isprintable() else wrap(row[-1], room) or [""]
        line = "  ".join(
            [*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)), parts[0]]
        ).rstrip()
        out.append(click.style(line, bold=True) if header and number == 0 else line)
        out += [" " * indent + part for part in parts[1:]]
    return "\n".join(out)


def size(count: int) -> str:
    """Bytes as people say them: ``1.5 GiB``, ``812 MiB``."""
    number = float(count)
    for unit in ("B", "KiB", "MiB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


def exact(number: float) -> str:
    """Not rounded: what is read back from it is the same number."""
    return repr(number).removesuffix(".0")
