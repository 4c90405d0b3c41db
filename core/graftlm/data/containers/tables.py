"""Rows of CSV and TSV, named by a header."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from graftlm.contracts.errors import DataError

from .json_lines import NOT_UTF8
from .lines import lines_of
from .reading import Found

LONGEST_FIELD = 1 << 24
"""Characters. Without a limit, a quote that is never closed would read the rest of the file into one field."""

QUOTED = re.compile(r'"[^"]*"')
SEPARATOR = re.compile(r'"?sep=(?P<mark>[^"\r\n\0])"?\s*', re.IGNORECASE)
"""The first line with which Excel is told what separates."""
JSON = re.compile(r"\s*([\[{])\s*([\"\[{}\]]|$)")


def read_table(stream: io.BufferedReader[Any], label: str, delimiter: str) -> Iterator[Found]:
    """Every row as a record of strings, by the names of the header without the spaces around them. A place is the line
    where its row begins.

    Bytes that are not UTF-8 come as lone surrogates, which no UTF-8 text can hold, so that one bad row is skipped.
    """
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _rows(text, label, delimiter)
    finally:
        text.detach()


def _rows(text: io.TextIOWrapper, label: str, delimiter: str) -> Iterator[Found]:
    csv.field_size_limit(LONGEST_FIELD)
    blank, first = 0, ""
    lines = lines_of(text, label)
    said = ""
    for first in lines:
        separator = None if said else SEPARATOR.fullmatch(first)
        if separator:
            said = separator["mark"]
        elif first.strip():
            break
        blank, first = blank + 1, ""
    if not first:
        return
    if opening := JSON.match(first):
        ending = ".json" if opening[1] == "[" else ".jsonl"
        raise DataError(f"{label}:{blank + 1}: it holds JSON, and its name says a table: rename it to end in {ending}")
    delimiter = said or _delimiter(first, delimiter)
    rows = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        place = f"{label}:{blank + rows.line_num + 1}"
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            reason, ends = _explained(str(error))
            if ends or header is None:
                raise DataError(f"{place}: {reason}") from None
            yield DataError(reason), place
            continue
        if not row:
            continue
        if header is None:
            header = _checked([name.strip() for name in row], place)
        elif len(row) != len(header):
            fields = "1 field" if len(row) == 1 else f"{len(row)} fields"
            yield DataError(f"{fields}, and the header has {len(header)}"), place
        elif not _is_utf8(row):
            yield DataError(NOT_UTF8), place
        else:
            yield dict(zip(header, row, strict=True)), place


def _delimiter(header: str, usual: str) -> str:
    """What separates: a header without a comma has the semicolon of spreadsheets where the comma is the decimal mark,
    a tab, or a bar.
    """
    bare = QUOTED.sub("", header)
    if usual != "," or "," in bare:
        return usual
    return next((mark for mark in ";\t|" if mark in bare), usual)


def _explained(error: str) -> tuple[str, bool]:
    """What the reader says, in our words, and whether it ends the file."""
    if "unexpected end" in error:
        return "a quote is opened here and never closed", True
    if "field limit" in error:
        return f"a field of more than {LONGEST_FIELD:,} characters: is a quote never closed?", True
    if "expected after" in error:
        return 'text behind a closing quote: write "" for a quote inside a quoted field', False
    return f"not a row that can be read: {error}", False


def _checked(header: list[str], place: str) -> list[str]:
    if not _is_utf8(header):
        raise DataError(f"{place}: {NOT_UTF8}")
    for number, name in enumerate(header, 1):
        if not name:
            raise DataError(f"{place}: column {number} of the header has no name: name it, or remove the column")
        if name in header[: number - 1]:
            raise DataError(f"{place}: the header names '{name}' twice")
    return header


def _is_utf8(row: list[str]) -> bool:
    joined = "".join(row)
    if joined.isascii():
        return True
    try:
        joined.encode()
    except UnicodeEncodeError:
        return False
    return True
