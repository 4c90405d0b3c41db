"""The fenced blocks of a page, and the commands of its console blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.M | re.S)
COMMENT = re.compile(r"\s+# .*$")
"""As a shell has it: behind white space, to the end."""


@dataclass(frozen=True)
class Block:
    language: str
    text: str


@dataclass(frozen=True)
class Command:
    """``shown`` are the lines below it, as the page shows its output."""

    line: str
    shown: tuple[str, ...]


def blocks(page: Path, language: str = "") -> list[Block]:
    found = (Block(m[1], m[2]) for m in FENCE.finditer(page.read_text(encoding="utf-8")))
    return [block for block in found if language in ("", block.language)]


def commands(page: Path) -> list[Command]:
    """Of all console blocks, in order, without comments."""
    return [command for block in blocks(page, "console") for command in _commands(block.text)]


def _commands(text: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        first, *shown = part.rstrip("\n").split("\n")
        yield Command(COMMENT.sub("", first), tuple(shown))


def file_of(page: Path, name: str) -> str:
    """A file that a page shows: the blocks whose first line is a comment with its name, one after the other."""
    parts = [block.text.partition("\n") for block in blocks(page, "python")]
    found = [rest for first, _, rest in parts if first == f"# {name}"]
    assert found, f"{page.name} has no file {name}"
    return "\n\n".join(found)
