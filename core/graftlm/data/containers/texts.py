"""Texts apart by blank lines, and dialogues that are written as text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

from graftlm.contracts.errors import DataError

from .json_lines import NOT_UTF8
from .lines import LONGEST, OVERLONG, lines_of
from .opening import BOM
from .reading import Found

SPEAKER = re.compile(r"<(HUMAN|ASSISTANT)>:", re.IGNORECASE)
UNCLEAR = (
    "the words above '<HUMAN>:' may be a system text, or end the answer before them: put a system text on the line of "
    "'<HUMAN>:', leave no blank line within an answer, or give .jsonl"
)


def read_texts(stream: IO[bytes], label: str) -> Iterator[Found]:
    """Each block of lines as ``{"text": …}``. A block in which ``<HUMAN>:`` (in any case) comes before any
    ``<ASSISTANT>:`` begins a dialogue, to which the blocks behind it belong up to the next such block: an answer may
    hold blank lines. What is not UTF-8 spoils its record.

    Lines above the first ``<HUMAN>:`` of a block are a system text where the file's first dialogue has one too. Where
    it has none, and a dialogue stands before them, they might be its last words: that dialogue is refused.
    """
    text, start, end, unclear = bytearray(), 0, 0, 0
    dialogue, systems = False, None
    for number, block in _blocks(stream, label):
        before = _before_human(block)
        lines_above = before is not None and "\n" in before
        if not dialogue or (before is not None and (systems or not lines_above)):
            if start:
                yield _record(text, start, unclear, label)
            text, start, unclear, dialogue = block, number, 0, before is not None
            systems = lines_above if dialogue and systems is None else systems
        else:
            if len(text) + number - end + len(block) > LONGEST:
                raise _overlong(label, start)
            text += b"\n" * (number - end) + block
            unclear = unclear or (number if lines_above else 0)
        end = number + block.count(b"\n")
    if start:
        yield _record(text, start, unclear, label)


def _blocks(stream: IO[bytes], label: str) -> Iterator[tuple[int, bytearray]]:
    """Lines without a blank one between them, and the number of the first one."""
    block, start = bytearray(), 0
    for number, raw in enumerate(lines_of(stream, label), 1):
        if number == 1:
            raw = raw.removeprefix(BOM)
        if raw.isspace() or not raw.decode(errors="replace").strip():
            if start:
                yield start, block
                block, start = bytearray(), 0
            continue
        if start:
            block += b"\n"
        else:
            start = number
        block += raw.rstrip(b"\r\n")
        if len(block) > LONGEST:
            raise _overlong(label, start)
    if start:
        yield start, block


def _before_human(block: bytearray) -> str | None:
    """What stands before ``<HUMAN>:`` where nobody else speaks first."""
    words = block.decode(errors="replace")
    speaker = SPEAKER.search(words)
    return words[: speaker.start()] if speaker is not None and speaker[1].upper() == "HUMAN" else None


def _record(text: bytearray, start: int, unclear: int, label: str) -> Found:
    try:
        words = text.decode()
    except UnicodeDecodeError as error:
        return DataError(NOT_UTF8), f"{label}:{start + text.count(10, 0, error.start)}"
    return (DataError(UNCLEAR), f"{label}:{unclear}") if unclear else ({"text": words}, f"{label}:{start}")


def _overlong(label: str, start: int) -> DataError:
    return DataError(f"{label}:{start}: a text {OVERLONG}: put a blank line between two texts")
