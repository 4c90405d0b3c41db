"""Records out of a file of any kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from graftlm.contracts.errors import DataError
from graftlm.contracts.specs import Record

from .kinds import BINARY, endings, kind_of

Found = tuple[Record | DataError, str]
"""A record, or what is wrong with it (the reason alone), and its place."""


def read_records(path: Path, label: str = "") -> Iterator[Found]:
    """The records of a file, as a stream; ``label`` stands for the path in places and messages. A place is
    ``file:line``; in a JSON list with several records on a line, ``file:line (record 6)``, records of the list from 1.

    A record that cannot be read is given as a ``DataError`` with the reason, and reading goes on with the next one.
    What ends the file is raised: ``DataError`` with the whole sentence.
    """
    label = label or str(path)
    try:
        if path.is_dir():
            raise DataError(f"{label} is a folder: give a file ({endings()})")
        if not path.is_file():
            raise DataError(f"there is no data file {label}")
    except OSError as error:
        raise DataError(f"{label} cannot be read: {error.strerror}") from None
    kind = kind_of(path)
    if kind is None:
        raise DataError(f"{label} is of no known kind: give a file that ends in {endings()}")
    if kind.content in BINARY:
        from .arrow import read_arrow, read_parquet

        yield from read_parquet(path, label) if kind.content == "parquet" else read_arrow(path, label)
        return

    from .opening import opened, refuse_other_encodings

    with opened(path, label, kind.compression) as stream:
        refuse_other_encodings(stream, label)
        if kind.content in ("csv", "tsv"):
            from .tables import read_table

            yield from read_table(stream, label, "\t" if kind.content == "tsv" else ",")
        elif kind.content == "text":
            from .texts import read_texts

            yield from read_texts(stream, label)
        elif kind.content == "json":
            from .json_list import read_json

            yield from read_json(stream, label)
        else:
            from .json_lines import read_lines

            yield from read_lines(stream, label)
