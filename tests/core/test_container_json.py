"""JSON lines and lists name the right line, whatever is broken."""

from __future__ import annotations

import io
import json
import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading_back import raised, read, row

from graftlm.checking.places import Places
from graftlm.contracts.errors import DataError
from graftlm.data.containers import read_records
from graftlm.data.containers.json_list import read_list

quick = settings(max_examples=60, deadline=None, database=None)
words = st.text(max_size=20)

DAMAGE: Sequence[Callable[[str], str]] = (
    lambda row: row.replace(":", "::", 1),
    lambda row: row.replace('"', "'", 1),
    lambda row: "{" + row,
    lambda row: "@" + row,
    lambda row: '{"a": nul}',
    lambda row: '{"a": "\\q"}',
    lambda row: '{"a": "a\tb"}',
    lambda row: '{"a" 1}',
    lambda row: '{"a": 1,}',
    lambda row: "[]",
    lambda row: "5",
)
"""Ways to break a row so that no parser can take it and no other line is to blame."""
SKIPPED = ("[]", "5")
"""What is no record, and yet whole."""

Made = tuple[list[str], list[int], str, bool, bool]


@st.composite
def files(draw: st.DrawFn) -> Made:
    """Lines (some blank) that hold rows, the numbers of those that do, the line's end, whether a BOM leads, and
    whether the rows stand in a list.
    """
    listed = draw(st.booleans())
    lines = ["["] if listed else []
    places = []
    rows = draw(st.lists(st.tuples(words, words, st.booleans(), st.integers(0, 2)), min_size=1, max_size=12))
    for number, (text, output, escaped, blanks) in enumerate(rows, 1):
        lines += [""] * blanks
        lines.append(
            json.dumps(row(text, output), ensure_ascii=escaped) + ("," if listed and number < len(rows) else "")
        )
        places.append(len(lines))
    lines += ["]"] if listed else []
    return lines, places, draw(st.sampled_from(["\n", "\r\n"])), draw(st.booleans()), listed


def write(folder: Path, lines: Sequence[str], end: str, bom: bool, listed: bool) -> Path:
    path = folder / ("data.json" if listed else "data.jsonl")
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + "".join(line + end for line in lines).encode())
    return path


@quick
@given(files())
def test_every_record_has_its_line(made: Made) -> None:
    lines, places, end, bom, listed = made
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), lines, end, bom, listed)
        found = list(read_records(path))
    assert [source for _, source in found] == [f"{path}:{place}" for place in places]
    assert [record for record, _ in found] == [json.loads(lines[place - 1].rstrip(",")) for place in places]


@quick
@given(files(), st.sampled_from(DAMAGE), st.data())
def test_a_broken_line_is_named(made: Made, damage: Callable[[str], str], data: st.DataObject) -> None:
    """The rows before it come through; a broken line says so and the rows behind it come through too; in a list, the
    error names exactly that line, and ends it.
    """
    lines, places, end, bom, listed = made
    victim = data.draw(st.integers(0, len(places) - 1))
    whole = lines[places[victim] - 1]
    comma = "," if listed and victim < len(places) - 1 else ""
    broken = damage(whole.removesuffix(comma))
    lines[places[victim] - 1] = broken + comma
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), lines, end, bom, listed)
        records = read_records(path)
        for number in places[:victim]:
            assert next(records)[1] == f"{path}:{number}"
        if listed and broken not in SKIPPED:
            with pytest.raises(DataError) as caught:
                next(records)
            assert str(caught.value).startswith(f"{path}:{places[victim]}: ")
            return
        found, place = next(records)
        assert isinstance(found, DataError)
        assert place == f"{path}:{places[victim]}"
        assert str(path) not in str(found)
        assert [(type(record), place) for record, place in records] == [
            (dict, f"{path}:{number}") for number in places[victim + 1 :]
        ]


def test_a_thousand_mutated_files(tmp_path: Path) -> None:
    """Any bytes changed in one line: that line is a record or an error, and no other line is touched."""
    rng = random.Random(3)
    path = tmp_path / "d.jsonl"
    named = 0
    for _ in range(1000):
        lines = [json.dumps(row(f"question {i}", "é" * i), ensure_ascii=False).encode() for i in range(8)]
        victim = rng.randrange(8)
        line = bytearray(lines[victim])
        for _ in range(rng.randint(1, 3)):
            line[rng.randrange(len(line))] = rng.choice([b for b in range(256) if b not in b"\n"])
        lines[victim] = bytes(line)
        path.write_bytes(b"\n".join(lines))
        records, places = read(path)
        assert places == list(range(1, 9))
        assert [r for i, r in enumerate(records) if i != victim] == [
            json.loads(text) for i, text in enumerate(lines) if i != victim
        ]
        try:
            expected: Any = json.loads(bytes(line).removeprefix(b"\xef\xbb\xbf").decode())
        except ValueError:
            expected = None
        assert records[victim] == expected if isinstance(expected, dict) else isinstance(records[victim], DataError)
        named += isinstance(records[victim], DataError)
    assert named > 300


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"a": }', "not valid JSON: Expecting value (column 7)"),
        (b"[1]", "a record must be a JSON object, not list"),
        (b'"a"', "a record must be a JSON object, not str"),
        (b'{"a": "\xff"}', "not UTF-8 text: save the file as UTF-8"),
        (b'{"a": ' + b"[" * 100_000 + b"}", "not usable JSON: nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", "not usable JSON: a number with too many digits"),
    ],
)
def test_why_a_line_is_no_record(line: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(b'{"a": 1}\n' + line + b'\n{"a": 2}\n')
    records, lines = read(path)
    assert (records[0], records[2], lines) == ({"a": 1}, {"a": 2}, [1, 2, 3])
    assert str(records[1]) == said


def test_lines_are_decoded_as_json_does(tmp_path: Path) -> None:
    """What the faster decoder refuses and json takes."""
    path = tmp_path / "d.jsonl"
    path.write_text('{"a": NaN, "b": -Infinity, "c": 1e999, "d": "\\ud800", "e": 1.5}\n', encoding="utf-8")
    (found,), _ = read(path)
    assert repr(found) == repr(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_a_list_in_any_layout(indent: int | str | None, tmp_path: Path) -> None:
    """A record's place is the line where it begins."""
    path = tmp_path / "data.json"
    rows = [row(f"row {i}") for i in range(5)]
    path.write_text(json.dumps(rows, indent=indent), encoding="utf-8")
    assert read(path) == (rows, [1] * 5 if indent is None else [2 + 4 * i for i in range(5)])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[\n{"a": 1}\n}\n\n\n, {"a": 2}\n]\n', "d:3: not valid JSON: expected ',' or ']' after a record"),
        ('[\n{"a": 1},\n]', "d:3: not valid JSON: Expecting value (column 1)"),
        ('[{"a": 1}\n', "d:2: not valid JSON: expected ',' or ']' after a record"),
        ('[{"a": 1}]\n\n{', "d:3: not valid JSON: more text behind the list"),
        ('[{"a": 1}, {"a":\n "b}]', "d:2: not valid JSON: Unterminated string starting at (column 2)"),
        ("[" + '{"a":' * 100_000, "d:1: not usable JSON: nested too deeply"),
        ('{\n"a": [1]}', "d:1: a JSON object over several lines: give a list of records ([{…}, {…}]), or one record a "
         "line"),
        ('{"data": [{"a": 1}],\n "b": 1}', "d:1: more than 'data' in the object: give the list of records alone"),
    ],
)  # fmt: skip
def test_why_a_list_ends(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_text(text, encoding="utf-8")
    assert raised(path) == said


def test_a_list_that_is_not_utf8_gives_what_comes_before(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(b'[{"a": 1},\n{"a": 2},\n{"a": "\xff"}]')
    records = read_records(path, "d")
    assert [next(records), next(records)] == [({"a": 1}, "d:1"), ({"a": 2}, "d:2")]
    with pytest.raises(DataError, match=r"^d:3: not UTF-8 text: save the file as UTF-8$"):
        next(records)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(quick, max_examples=300)
@given(st.lists(anything, max_size=5), st.sampled_from([None, 1]), st.booleans(), st.integers(1, 9), st.data())
def test_a_window_of_any_size_reads_the_same(
    values: list[Any], indent: int | None, escaped: bool, chunk: int, data: st.DataObject
) -> None:
    """Whatever is cut in two by the window; and an error has the place and the words that json gives it."""
    text = json.dumps(values, indent=indent, ensure_ascii=escaped)
    if damaged := data.draw(st.booleans()):
        at = data.draw(st.integers(1, len(text) - 1))
        text = text[:at] + data.draw(st.sampled_from(["", "\\", '"', "}", ",", "x", "\n", "1", "-"])) + text[at + 1 :]
    found: list[Any] = []
    said = ""
    try:
        for record, place in read_list(io.BytesIO(text.encode("utf-8", "surrogatepass")), "d", chunk=chunk):
            found.append((record, place))
    except DataError as error:
        said = str(error)
    expected = loaded(text)
    if isinstance(expected, json.JSONDecodeError):
        if said.endswith(")"):  # between records, and behind the list, our words are others
            assert said == f"d:{expected.lineno}: not valid JSON: {expected.msg} (column {expected.colno})"
        assert said.startswith(f"d:{expected.lineno}: not valid JSON: ")
        return
    assert damaged or expected == values
    assert said == ""
    assert [r if isinstance(r, dict) else type(r) for r, _ in found] == [
        value if isinstance(value, dict) else DataError for value in expected
    ]


def loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        return error


def test_a_broken_list_is_not_read_to_its_end() -> None:
    """The error is known where it stands, and a record of any length costs no more than its length."""

    class Counted(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(size)

    broken = Counted(b'[{"a": 1}, {"a": oops}' + b', {"a": 1}' * 1_000_000)
    with pytest.raises(DataError, match=r"^d:1: not valid JSON: Expecting value \(column 18\)$"):
        list(read_list(broken, "d", chunk=1 << 10))
    assert broken.tell() == 1 << 10
    long = json.dumps([{"a": ["word"] * 1_000_000}]).encode()
    ((record, place),) = read_list(io.BytesIO(long), "d", chunk=1 << 10)
    assert place == "d:1"
    assert not isinstance(record, DataError)
    assert len(record["a"]) == 1_000_000


@pytest.mark.parametrize("name", ["d.jsonl", "d.ndjson", "d.JSONL", "d.json"])
def test_lines_of_json_by_any_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text('\n{"a": 1}\n\n{"a": 2}', encoding="utf-8")
    assert read(path) == ([{"a": 1}, {"a": 2}], [2, 4])


def test_records_that_share_a_line_say_which_they_are(tmp_path: Path) -> None:
    """The first of a line has the line alone; the numbers are the list's."""
    path = tmp_path / "d.json"
    path.write_text('{"rows": [{"a": 1}, 2, {"a": 3},\n{"a": 4}, {"a": 5}, {"a":\n6},{"a": 7}]}', encoding="utf-8")
    places = [place for _, place in read_records(path, "d")]
    assert places == ["d:1", "d:1 (record 2)", "d:1 (record 3)", "d:2", "d:2 (record 5)", "d:2 (record 6)", "d:3"]
    known = Places()
    for place in [*places, "e:1 (record 2)", "e:1"]:
        known.add(place)
    assert [known[row] for row in range(len(known))] == [*places, "e:1 (record 2)", "e:1"]


@pytest.mark.parametrize("name", ["d.jsonl", "d.json", "d.csv", "d.tsv", "d.txt"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_told_by_its_first_bytes(name: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes('{"text": "é"}\n'.encode(encoding))
    assert raised(path) == "d:1: UTF-16 text: save the file as UTF-8"


def test_a_list_in_an_object(tmp_path: Path) -> None:
    """The usual names only: an object with turns is a record."""
    path = tmp_path / "d.json"
    path.write_text('\n{"rows":\n [\n{"a": 1},\n\n{"a": 2}]}\n', encoding="utf-8")
    assert read(path) == ([{"a": 1}, {"a": 2}], [4, 6])
    path.write_text('{"data": []}', encoding="utf-8")
    assert read(path) == ([], [])
    path.write_text('{"messages": [{"role": "user"}]}\n', encoding="utf-8")
    assert read(path) == ([{"messages": [{"role": "user"}]}], [1])
