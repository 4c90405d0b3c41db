"""Writers of the text kinds: JSON lines, a JSON list, and tables."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from typing import IO, Any

from graftlm.contracts.errors import DataError


class JsonLines:
    """One object a line."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, record: Mapping[str, Any]) -> None:
        self._stream.write(encoded(record) + b"\n")

    def finish(self) -> None:
        """Nothing comes behind the last line."""


class JsonList:
    """A list with one object a line."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._before = b"[\n"

    def write(self, record: Mapping[str, Any]) -> None:
        self._stream.write(self._before + encoded(record))
        self._before = b",\n"

    def finish(self) -> None:
        self._stream.write(b"[]\n" if self._before == b"[\n" else b"\n]\n")


def encoded(record: Mapping[str, Any]) -> bytes:
    """A record as JSON on one line; half a surrogate pair, which UTF-8 cannot hold, as an escape."""
    try:
        return json.dumps(record, ensure_ascii=False, default=_refused).encode()
    except UnicodeEncodeError:
        return json.dumps(record, default=_refused).encode()


def _refused(value: object) -> None:
    raise DataError(f"JSON cannot hold a value of type {type(value).__name__}")


class Table:
    """CSV or TSV; the first record gives the columns."""

    def __init__(self, stream: IO[bytes], delimiter: str) -> None:
        # csv quotes a lone CR only where CR is of the line's end: it is asked for CRLF, and _Unix writes LF.
        self._rows = csv.writer(_Unix(stream), delimiter=delimiter, lineterminator="\r\n")
        self._columns: tuple[str, ...] = ()

    def write(self, record: Mapping[str, Any]) -> None:
        if not self._columns:
            if not all(name.strip() for name in record) or not record:
                raise DataError("a table needs a name for every column: write .jsonl instead")
            self._columns = tuple(record)
            self._rows.writerow(self._columns)
        if record.keys() != set(self._columns):
            has, wants = ", ".join(record) or "no fields", ", ".join(self._columns)
            raise DataError(f"a record with {has} in a table of {wants}: write .jsonl instead")
        self._rows.writerow([_cell(name, record[name]) for name in self._columns])

    def finish(self) -> None:
        """Nothing comes behind the last row."""


class _Unix:
    """A file for ``csv.writer``, which gives it one row at a time."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, row: str) -> int:
        try:
            return self._stream.write(row.removesuffix("\r\n").encode() + b"\n")
        except UnicodeEncodeError:
            raise DataError("its text holds half a surrogate pair, which is no character") from None


def _cell(name: str, value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    raise DataError(f"the field '{name}' holds a {type(value).__name__}, and a table texts alone: write .jsonl instead")
