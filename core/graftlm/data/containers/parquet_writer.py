"""A writer of Parquet, which must know the type of every column before its first row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from graftlm.contracts.errors import DataError

from .writers import encoded

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 2000
"""Records of a row group."""


class Parquet:
    """Records wait in the file ``waiting`` while their types are gathered; ``finish`` writes them.

    A field that a record lacks is null, also inside lists and objects; a column that holds whole numbers and others
    becomes one of floats. What no column can hold is known at the end only, and has no place.
    """

    def __init__(self, stream: IO[bytes], waiting: IO[bytes], path: Path) -> None:
        try:
            import pyarrow as pa
        except ImportError:
            raise DataError(f"{path} needs pyarrow to be written (run: pip install 'graftlm[data]')") from None
        self._stream, self._waiting, self._path = stream, waiting, path
        self._misfit = ""
        self._recent: list[Mapping[str, Any]] = []
        self._schema: pa.Schema = pa.schema([])

    def write(self, record: Mapping[str, Any]) -> None:
        self._waiting.write(encoded(record) + b"\n")
        self._recent.append(record)
        if len(self._recent) == ROWS:
            self._gather()

    def finish(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._gather()
        if self._misfit:
            raise DataError(f"{self._path} cannot be written as Parquet: {self._misfit}: write .jsonl instead")
        self._waiting.seek(0)
        try:
            with pq.ParquetWriter(self._stream, self._schema) as writer:
                for rows in _groups(map(json.loads, self._waiting)):
                    arrays = [pa.array([row.get(f.name) for row in rows], f.type) for f in self._schema]
                    writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        except pa.ArrowException as error:
            why = _first_line(error)
            raise DataError(f"{self._path} cannot be written as Parquet: {why}: write .jsonl instead") from None

    def _gather(self) -> None:
        """The types so far, with those of the recent records."""
        import pyarrow as pa

        names = dict.fromkeys(name for record in self._recent for name in record)
        fields = []
        for name in names:
            try:
                fields.append((name, pa.array([record.get(name) for record in self._recent]).type))
            except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
                self._misfit = self._misfit or f"the field '{name}' is no column of one type ({_first_line(error)})"
        try:
            self._schema = pa.unify_schemas([self._schema, pa.schema(fields)], promote_options="permissive")
        except pa.ArrowException as error:
            self._misfit = self._misfit or f"a field is of several types ({_first_line(error)})"
        self._recent = []


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _groups(records: Iterator[Any]) -> Iterator[list[Any]]:
    while rows := list(islice(records, ROWS)):
        yield rows
