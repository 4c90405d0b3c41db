"""Fields of the records that the format does not use: a misspelt one would be lost without a word.

Whether a field is used is found by parsing records with it, without it, and with something else in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Any

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import DataError
from graftlm.contracts.specs import DataFormat, Record
from graftlm.data.columns import Columns
from graftlm.data.containers import read_records
from graftlm.data.conversations import Fault
from graftlm.data.inputs import Inputs

LOOKED_AT = 200
"""Records of each file that decide whether a field is used."""
MOST_TRIED, MOST_GUESSED, MOST_NAMES = 1000, 20, 100
MEANT = ("system", "system_prompt", "history", "context", "tools")
"""Fields that are words of the conversation in one format or the other, beside each format's own."""
EMPTY: tuple[Any, ...] = (None, "", [], {})
HURTING = (*MEANT, "passage", "choices", "functions")
"""Columns whose words are missed where they are not read."""
ABOUT = re.compile(
    r"(?:.*_)?(?:ids?|idx|index|uid|uuid|guid|key|hash|source|src|origin|ur[li]|link|file|filename|path|dataset|split|"
    r"subset|date|time|timestamp|created|updated|year|lang|language|locale|category|categories|topics?|domain|tags?|type|"
    r"task|title|name|author|licen[sc]e|model|scores?|rating|quality|difficulty|length|count|tokens|num|meta|metadata|"
    r"info|extra|annotations|comments?|version|text|embeddings?)\d*|__index_level_0__",
    re.IGNORECASE,
)
"""What says something about a record, and is not of it. (``text`` is a copy of the whole in many files.)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusedField:
    """``rows`` that hold something in the field (of the columns of a table: among the first of each file), the place of
    the first, and the field that was perhaps meant. ``about``: it seems to say something about the record only.
    """

    name: str
    rows: int
    first: str
    meant: str = ""
    about: bool = False


class _Unknown:
    """A field that nothing has shown to be used."""

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.rows = self.tried = self.tried_here = 0
        self.first = self.file = self.meant = ""
        self.about = bool(ABOUT.fullmatch(name)) or isinstance(value, bool | int | float)


class FieldUse:
    """Records as they go by."""

    def __init__(self, data_format: DataFormat) -> None:
        self._format = data_format
        self._used = {"capability"}
        self._unknown: dict[str, _Unknown] = {}

    def add(self, record: Record, row: Conversation | Fault) -> None:
        if record.keys() <= self._used:
            return
        for name, value in record.items():
            if name in self._used:
                continue
            unknown = self._unknown.get(name)
            if unknown is None:
                if len(self._unknown) == MOST_NAMES:
                    continue
                unknown = self._unknown[name] = _Unknown(name, value)
            self._look(unknown, record, row)

    def _look(self, unknown: _Unknown, record: Record, row: Conversation | Fault) -> None:
        name = unknown.name
        file = row.source.rpartition(":")[0]
        if file != unknown.file:
            unknown.file, unknown.tried_here = file, 0
        if unknown.tried_here < LOOKED_AT and unknown.tried < MOST_TRIED:
            unknown.tried_here += 1
            if isinstance(row, Conversation):
                unknown.tried += 1
                if self._uses(record, name):
                    self._used.add(name)
                    return
            if not unknown.meant and unknown.tried_here <= MOST_GUESSED and name not in MEANT:
                unknown.meant = self._meant(record, name)
        if record[name] not in EMPTY:
            unknown.rows += 1
            unknown.first = unknown.first or row.source

    def _uses(self, record: Record, name: str) -> bool:
        value = record[name]
        others: list[Any] = [f"{value} x" if isinstance(value, str) else "x", 7]
        without = {field: value for field, value in record.items() if field != name}
        said = self._said(record)
        return self._said(without) != said or any(self._said({**record, name: other}) != said for other in others)

    def _said(self, record: Record) -> object:
        """The conversation, or why there is none."""
        try:
            return self._format.parse(record)
        except Exception as error:  # noqa: BLE001 - a format may fail in any way on a record that nobody wrote
            return repr(error)

    def _meant(self, record: Record, name: str) -> str:
        """A field of nearly the same name that would be used in its place."""
        known = [field for field in dict.fromkeys((*self._format.fields, *MEANT)) if not record.get(field)]
        for near in get_close_matches(name.lower(), known, 3, 0.75):
            moved = {near if field == name else field: value for field, value in record.items() if field != near}
            if self._said(moved) != self._said(record):
                return near
        return "capability" if get_close_matches(name.lower(), ["capability"], 1, 0.75) else ""

    def unused(self) -> tuple[UnusedField, ...]:
        """The most frequent first. Of rows that cannot be used, only a field that was meant otherwise is told."""
        found = (
            UnusedField(name=f.name, rows=f.rows, first=f.first, meant=f.meant, about=f.about and not f.meant)
            for f in self._unknown.values()
            if f.rows and f.name not in self._used and (f.tried or f.meant)
        )
        return tuple(sorted(found, key=lambda field: -field.rows))


def unmapped(inputs: Iterable[Inputs], columns: Columns) -> tuple[UnusedField, ...]:
    """Columns of the table that ``--columns`` leaves out (none without it), by the first records of each file."""
    counts: dict[str, list[Any]] = {}
    for given in inputs if columns else ():
        for record, source in _first(given):
            for name, value in record.items():
                if name not in columns.values() and value not in EMPTY:
                    counts.setdefault(name, [0, source])[0] += 1
    return tuple(
        UnusedField(name=name, rows=rows, first=first, about=name.lower() not in HURTING)
        for name, (rows, first) in counts.items()
    )


def _first(inputs: Inputs) -> Iterator[tuple[Record, str]]:
    """The first records of each file, as far as they can be read."""
    for file in inputs.files:
        try:
            for record, source in islice(read_records(file.path, file.label), LOOKED_AT):
                if not isinstance(record, DataError):
                    yield record, source
        except DataError:  # the pass over all rows tells it
            continue
