"""Rows of Parquet and Arrow files; a place is ``file:row``, rows from 1."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftlm.contracts.errors import DataError

from .reading import Found

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 1000
"""Rows that are turned into records at a time."""
BUFFER = 1 << 18


def read_parquet(path: Path, label: str) -> Iterator[Found]:
    """The rows of a Parquet file, page by page."""
    _needs_pyarrow(label)
    import pyarrow.parquet as pq

    def batches() -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER) as file:
            _refuse_doubles(file.schema_arrow.names, label)
            yield from file.iter_batches(ROWS, use_threads=False)

    return _rows(batches, label, "a Parquet file")


def read_arrow(path: Path, label: str) -> Iterator[Found]:
    """The rows of an Arrow IPC file, or of a stream as ``datasets`` writes it."""
    _needs_pyarrow(label)
    import pyarrow as pa

    def batches() -> Iterator[pa.RecordBatch]:
        with pa.OSFile(str(path)) as file:
            magic = file.read(6)
            file.seek(0)
            if magic.startswith(b"FEA1"):
                raise DataError(f"{label} is Feather version 1: write it again as version 2")
            with pa.ipc.open_file(file) if magic == b"ARROW1" else pa.ipc.open_stream(file) as reader:
                _refuse_doubles(reader.schema.names, label)
                found = map(reader.get_batch, range(reader.num_record_batches)) if magic == b"ARROW1" else reader
                for batch in found:
                    batch.validate(full=True)  # a wrong offset would be a place outside of the file's memory
                    yield batch

    return _rows(batches, label, "an Arrow file")


def _needs_pyarrow(label: str) -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise DataError(f"{label} needs pyarrow to be read (run: pip install 'graftlm[data]')") from None


def _refuse_doubles(names: list[str], label: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{label} has several columns of the name '{name}'")


def _rows(batches: Callable[[], Iterator[Any]], label: str, what: str) -> Iterator[Found]:
    import pyarrow as pa

    row = 0
    try:
        for batch in batches():
            for start in range(0, batch.num_rows, ROWS):
                for record in _records(batch.slice(start, ROWS)):
                    row += 1
                    yield record, f"{label}:{row}"
    except (pa.ArrowException, OSError) as error:
        where = f"{label}:{row + 1}: " if row else f"{label} "
        why = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise DataError(f"{where}cannot be read as {what}, which is damaged or cut short: {why}") from None


def _records(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | DataError]:
    """The rows of a batch; where a value cannot be had in Python, row by row."""
    try:
        yield from batch.to_pylist()
    except ValueError:
        for i in range(batch.num_rows):
            try:
                yield batch.slice(i, 1).to_pylist()[0]
            except ValueError as error:
                yield DataError(f"a value that cannot be read: {error}")
