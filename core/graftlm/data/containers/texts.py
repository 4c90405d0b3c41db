"""Texts apart by blank lines, and dialogues that are written as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from graftlm.contracts.errors import DataError

from .json_lines import NOT_UTF8
from .opening import BOM
from .reading import Found

DIALOGUE = "<HUMAN>:"


def read_texts(stream: IO[bytes], label: str) -> Iterator[Found]:
    """Each block of lines as ``{"text": …}``. A block that begins with ``<HUMAN>:`` begins a dialogue, to which the
    blocks behind it belong up to the next such block. A line that is not UTF-8 spoils its record.
    """
    lines: list[str] = []
    blanks: list[str] = []
    start = spoilt = 0

    def record() -> Iterator[Found]:
        if spoilt:
            yield DataError(NOT_UTF8), f"{label}:{spoilt}"
        elif lines:
            yield {"text": "\n".join(lines)}, f"{label}:{start}"

    for number, raw in enumerate(stream, 1):
        if number == 1:
            raw = raw.removeprefix(BOM)
        try:
            line = raw.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            line, spoilt_here = "?", True
        else:
            spoilt_here = False
        if not line.strip():
            blanks.append(line if lines else "")
            continue
        dialogue = bool(lines) and lines[0].startswith(DIALOGUE)
        if blanks and lines and (not dialogue or line.startswith(DIALOGUE)):
            yield from record()
            lines, spoilt = [], 0
        if lines:
            lines += blanks
        else:
            start = number
        blanks = []
        lines.append(line)
        if spoilt_here and not spoilt:
            spoilt = number
    yield from record()
