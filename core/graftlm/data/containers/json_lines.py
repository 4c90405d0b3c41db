"""One JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any

import msgspec

from graftlm.contracts.errors import DataError
from graftlm.contracts.specs import Record

from .lines import lines_of
from .opening import BOM
from .reading import Found

NOT_UTF8 = "not UTF-8 text: save the file as UTF-8"
TOO_DEEP = "not usable JSON: nested too deeply"
TOO_LONG = "not usable JSON: a number with too many digits"

_fast = msgspec.json.Decoder().decode


def read_lines(stream: IO[bytes], label: str) -> Iterator[Found]:
    """A record, or a ``DataError``, for every line that is not blank."""
    for number, line in enumerate(lines_of(stream, label), 1):
        if number == 1:
            line = line.removeprefix(BOM)
        if line.strip():
            yield decoded(line), f"{label}:{number}"


def decoded(line: bytes) -> Record | DataError:
    """The object that a line holds."""
    try:
        record = _fast(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # json says what is wrong, and takes NaN, infinities and lone surrogates, which msgspec refuses.
        try:
            record = json.loads(line.decode())
        except UnicodeDecodeError:
            return DataError(NOT_UTF8)
        except json.JSONDecodeError as error:
            return DataError(f"not valid JSON: {error.msg} (column {error.colno})")
        except RecursionError:
            return DataError(TOO_DEEP)
        except ValueError:
            return DataError(TOO_LONG)
    return as_record(record)


def as_record(value: Any) -> Record | DataError:
    """A decoded value, where it can be a record."""
    if isinstance(value, dict):
        return value
    return DataError(f"a record must be a JSON object, not {type(value).__name__}")
