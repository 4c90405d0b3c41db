"""Reading records out of files, each with its place (``file:line``, lines from 1)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import DataError
from graftlm.contracts.specs import Record

SUFFIXES = (".jsonl", ".json", ".ndjson")


def read_records(path: Path) -> Iterator[tuple[Record, str]]:
    """The records of a JSONL file, or of a JSON file that holds a list of them."""
    try:
        if path.is_dir():
            raise DataError(f"{path} is a folder: give a file ({', '.join(SUFFIXES)})")
        if not path.is_file():
            raise DataError(f"there is no data file {path}")
        if path.suffix.lower() not in SUFFIXES:
            raise DataError(f"{path} is of no known kind: give a file that ends in {', '.join(SUFFIXES)}")
        yield from _list_records(path) if _holds_a_list(path) else _line_records(path)
    except UnicodeDecodeError:
        raise DataError(f"{path}:{_undecodable_line(path)}: not UTF-8 text: save the file as UTF-8") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


def _undecodable_line(path: Path) -> int:
    """The first line that is not UTF-8."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1


def _holds_a_list(path: Path) -> bool:
    with path.open(encoding="utf-8-sig") as file:
        for line in file:
            if line.strip():
                return path.suffix.lower() == ".json" and line.lstrip().startswith("[")
    return False


def _line_records(path: Path) -> Iterator[tuple[Record, str]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(f"{path}:{number}: not valid JSON: {error.msg} (column {error.colno})") from None
            except RecursionError:
                raise DataError(f"{path}:{number}: not usable JSON: nested too deeply") from None
            except ValueError:
                raise DataError(f"{path}:{number}: not usable JSON: a number with too many digits") from None
            yield _record(record, f"{path}:{number}"), f"{path}:{number}"


def _list_records(path: Path) -> Iterator[tuple[Record, str]]:
    """The elements of a JSON list, decoded one by one so that each has its line."""
    text = path.read_text(encoding="utf-8-sig")
    decoder = json.JSONDecoder()
    position, line, counted = text.index("[") + 1, 1, 0

    def line_at(place: int) -> int:
        nonlocal line, counted
        line += text.count("\n", counted, place)
        counted = place
        return line

    def skip(place: int) -> int:
        while place < len(text) and text[place] in " \t\r\n":
            place += 1
        return place

    def end(place: int) -> None:
        place = skip(place)
        if place < len(text):
            raise DataError(f"{path}:{line_at(place)}: not valid JSON: more text behind the list")

    position = skip(position)
    if text[position : position + 1] == "]":
        end(position + 1)
        return
    while True:
        source = f"{path}:{line_at(position)}"
        try:
            record, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{error.lineno}: not valid JSON: {error.msg} (column {error.colno})") from None
        except RecursionError:
            raise DataError(f"{source}: not usable JSON: nested too deeply") from None
        except ValueError:
            raise DataError(f"{source}: not usable JSON: a number with too many digits") from None
        yield _record(record, source), source
        position = skip(position)
        following = text[position : position + 1]
        if following == "]":
            end(position + 1)
            return
        if following != ",":
            raise DataError(f"{path}:{line_at(position)}: not valid JSON: expected ',' or ']' after a record")
        position = skip(position + 1)


def _record(record: Any, source: str) -> Record:
    if not isinstance(record, dict):
        raise DataError(f"{source}: a record must be a JSON object, not {type(record).__name__}")
    return record
