"""``--columns input=question,output=reply``: any table becomes records that a format knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graftlm.contracts.errors import DataError, UsageError
from graftlm.contracts.specs import Record

Columns = Mapping[str, str]
"""The fields of a format, each with the column of the table that it is read from."""


def parse_columns(said: str) -> dict[str, str]:
    """``FIELD=COLUMN,FIELD=COLUMN``; ``UsageError`` where it is not of this form."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in said.split(","))):
        field, equals, column = (piece.strip() for piece in part.partition("="))
        if not (equals and field and column):
            raise UsageError(f"--columns {said!r} is not of the form FIELD=COLUMN,…, as input=question,output=reply")
        if field in found:
            raise UsageError(f"--columns {said!r} names the field '{field}' twice")
        found[field] = column
    return found


def mapped(record: Record, columns: Columns) -> Record:
    """The record with the chosen columns alone, under their new names. Numbers become text, as a table has them;
    ``DataError`` where a column is missing.
    """
    if not columns:
        return record
    for field, column in columns.items():
        if column not in record:
            raise DataError(
                f"no column '{column}' (--columns {field}={column}): there are {', '.join(record) or 'none'}"
            )
    return {field: _as_text(record[column]) for field, column in columns.items()}


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
