"""Docstrings and tables as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

MADE = "<!-- Made by 'make docs-reference' from {source}: change that, not this page. -->\n"


def prose(docstring: str | None) -> str:
    """Its paragraphs, a line each; the examples left out."""
    text = inspect.cleandoc(docstring or "").partition(">>>")[0]
    paragraphs = (" ".join(part.split("\n")) for part in re.split(r"\n\s*\n", text.strip()))
    return "\n\n".join(paragraph.replace("``", "`") for paragraph in paragraphs)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """``numbers`` are the columns that stand at the right."""
    rule = ["---:" if i in numbers else "---" for i in range(len(header))]
    lines = [header, rule, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def python(source: str) -> str:
    return f"```python\n{source}\n```\n"


def anchor(heading: str) -> str:
    """As the code hosts and MyST make it of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
