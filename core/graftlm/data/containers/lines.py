"""The lines of a file, none of them longer than a record can be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, AnyStr

from graftlm.contracts.errors import DataError

LONGEST = 1 << 26
"""Bytes of a line, of an element of a list, and of a text; characters where they are decoded already. Without a limit,
a small compressed file would fill the memory."""
OVERLONG = f"longer than {LONGEST >> 20} MiB, which no record may be"


def lines_of(stream: IO[AnyStr], label: str) -> Iterator[AnyStr]:
    """The lines with their ends; ``DataError`` with its place for one that is too long."""
    number = 0
    while line := stream.readline(LONGEST + 1):
        number += 1
        if len(line) > LONGEST:
            raise DataError(f"{label}:{number}: a line {OVERLONG}")
        yield line
