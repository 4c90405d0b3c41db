"""Rows of CSV and TSV have the line where they begin, and a broken one is skipped."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading_back import raised, read

from graftlm.contracts.errors import DataError

quick = settings(max_examples=60, deadline=None, database=None)
words = st.text(max_size=20)


@quick
@given(
    st.lists(st.lists(words, min_size=3, max_size=3), max_size=8),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.lists(st.integers(0, 3), min_size=9, max_size=9),
    st.data(),
)
def test_a_row_with_other_fields_is_named(
    rows: list[list[str]], end: str, bom: bool, blanks: list[int], data: st.DataObject
) -> None:
    """Its line is where it begins, however many lines the rows before it take; the rows behind it come through."""
    victim = data.draw(st.integers(0, len(rows) - 1)) if rows else -1
    length = data.draw(st.sampled_from([2, 4, 5]))
    text = "\ufeff" if bom else ""
    places, expected = [], []
    for number, fields in enumerate([["a", "b", "c"], *rows], -1):
        text += end * blanks[number]
        if number >= 0:
            places.append(len(io.StringIO(text, newline="").readlines()) + 1)
            given = [*fields, "x", "y"][:length] if number == victim else fields
            expected.append(None if number == victim else dict(zip("abc", fields, strict=True)))
        else:
            given = fields
        written = io.StringIO(newline="")
        csv.writer(written, lineterminator=end, quoting=csv.QUOTE_ALL).writerow(given)
        text += written.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "d.csv")
        path.write_text(text, encoding="utf-8", newline="")
        records, lines = read(path)
    assert lines == places
    assert [None if isinstance(record, DataError) else record for record in records] == expected
    if victim >= 0:
        assert str(records[victim]) == f"{length} fields, and the header has 3"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a,b,a\n1,2,3\n", "d:1: the header names 'a' twice"),
        (b"\n,b\n1,2\n", "d:2: column 1 of the header has no name: name it, or remove the column"),
        (b"a\xff,b\n1,2\n", "d:1: not UTF-8 text: save the file as UTF-8"),
        (b'a,b\n1,2\n3,"4\n5,6\n', "d:3: a quote is opened here and never closed"),
        (
            b'a,b\n3,"' + b"line\n" * 4_000_000,
            "d:2: a field of more than 16,777,216 characters: is a quote never closed?",
        ),
        ("a,b\n1,2\n".encode("utf-16"), "d:1: UTF-16 text: save the file as UTF-8"),
        (b"a, a \n1,2\n", "d:1: the header names 'a' twice"),
        (b'\n{"a": 1}\n', "d:2: it holds JSON, and its name says a table: rename it to end in .jsonl"),
        (b'\xef\xbb\xbf[\n{"a": 1}]\n', "d:1: it holds JSON, and its name says a table: rename it to end in .json"),
        (b'sep=;\na;b\n1;2\n3;"4\n', "d:4: a quote is opened here and never closed"),
    ],
)
def test_why_a_table_ends(text: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(text)
    assert raised(path) == said


def test_rows_of_a_table_that_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(b'a,b\n1\n"2"x,3\n\xff,4\n"5\n6",\x007\n')
    records, lines = read(path)
    assert lines == [2, 3, 4, 5]
    assert [str(record) for record in records[:3]] == [
        "1 field, and the header has 2",
        'text behind a closing quote: write "" for a quote inside a quoted field',
        "not UTF-8 text: save the file as UTF-8",
    ]
    assert records[3] == {"a": "5\n6", "b": "\x007"}


def test_tables_of_all_sorts(tmp_path: Path) -> None:
    """Old line ends, long fields, semicolons that separate and such that do not, nothing at all."""
    path = tmp_path / "d.csv"
    for text, expected in (
        ("a,b\r1,2\r", [{"a": "1", "b": "2"}]),
        (f"a\n{'x' * 1_000_000}\n", [{"a": "x" * 1_000_000}]),
        ("a;b\n1,5;2\n", [{"a": "1,5", "b": "2"}]),
        ('"a;b"\n1;2\n', [{"a;b": "1;2"}]),
        ('a\n""\n', [{"a": ""}]),
        ("a , b,\tc\n 1,2,3\n", [{"a": " 1", "b": "2", "c": "3"}]),
        ("sep=;\na,b;c\n1;2\n", [{"a,b": "1", "c": "2"}]),
        ('\ufeff"SEP=|"\r\n\r\na|b\r\n1;|2\r\n', [{"a": "1;", "b": "2"}]),
        ("sep=\t\na\tb\n1\t2\n", [{"a": "1", "b": "2"}]),
        ("sep=;\n", []),
        ("a\tb\n1,5\t2|3\n", [{"a": "1,5", "b": "2|3"}]),
        ("a|b\n1\t|2;3\n", [{"a": "1\t", "b": "2;3"}]),
        ("a;b|c\n1;2\n", [{"a": "1", "b|c": "2"}]),
        ("a,b|c\n1,2\n", [{"a": "1", "b|c": "2"}]),
        ("[a],{b}\n1,2\n", [{"[a]": "1", "{b}": "2"}]),
        ("a,b\n", []),
        ("\n\n", []),
        ("", []),
    ):
        path.write_text(text, encoding="utf-8", newline="")
        assert read(path)[0] == expected
