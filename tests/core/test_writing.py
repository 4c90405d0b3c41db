"""What was written to a container reads as it was, and a file is there whole or not at all."""

from __future__ import annotations

import datetime
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Said
from hypothesis import given, settings
from hypothesis import strategies as st

from graftlm.contracts.errors import DataError, UsageError
from graftlm.data.containers import read_records
from graftlm.data.containers.writing import open_writer
from graftlm.data.split_files import Sides
from graftlm.data.splitting import NAMES

quick = settings(max_examples=60, deadline=None, database=None)
text = st.text(max_size=12)
"""NUL, separators and lone CR too; no half surrogate pairs, which only JSON can hold."""

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=()), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
columns = st.lists(st.sampled_from("abcdé"), min_size=1, max_size=4, unique=True)
turns = st.lists(
    st.fixed_dictionaries({"role": text, "content": text | st.none(), "train": st.none() | st.booleans()}), max_size=3
)
typed = {
    "text": text,
    "number": st.integers(-(2**63), 2**63 - 1),
    "share": st.floats(allow_nan=False),
    "flag": st.booleans(),
    "tags": st.lists(text, max_size=3),
    "messages": turns,
}
"""Parquet's columns have one type each."""


def written(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with open_writer(path) as writer:
        for row in rows:
            writer.write(row)


def through(name: str, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        written(path, rows)
        assert [p.name for p in Path(folder).iterdir()] == [name]
        return [record for record, _ in read_records(path)]


@quick
@given(
    st.lists(st.dictionaries(text, json_values, max_size=4), max_size=6),
    st.sampled_from(["d.jsonl", "d.ndjson.gz", "d.jsonl.zst", "d.json", "d.json.gz", "d.json.zst"]),
)
def test_json_reads_as_it_was_written(rows: list[dict[str, Any]], name: str) -> None:
    assert through(name, rows) == rows


@quick
@given(columns, st.data(), st.sampled_from(["d.csv", "d.tsv", "d.csv.gz", "d.tsv.zst"]))
def test_a_table_reads_as_it_was_written(names: list[str], data: st.DataObject, name: str) -> None:
    rows = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(names, text)), max_size=6))
    assert through(name, rows) == rows


@quick
@given(st.sets(st.sampled_from(sorted(typed)), min_size=1), st.data())
def test_parquet_reads_as_it_was_written(names: set[str], data: st.DataObject) -> None:
    rows = data.draw(
        st.lists(st.fixed_dictionaries({name: typed[name] | st.none() for name in sorted(names)}), max_size=6)
    )
    assert through("d.parquet", rows) == rows


def test_parquet_learns_its_columns_to_the_last_row() -> None:
    """A field that comes late, at any depth, is not lost; a row without it has null there."""
    rows = [{"messages": [{"role": "user"}]}] * 5000
    found = through("d.parquet", [*rows, {"messages": [{"role": "tool", "call": {"id": 1}}], "late": 0.5}])
    assert len(found) == 5001
    assert found[0] == {"messages": [{"role": "user", "call": None}], "late": None}
    assert found[-1] == {"messages": [{"role": "tool", "call": {"id": 1}}], "late": 0.5}


def test_cells(tmp_path: Path) -> None:
    assert through("d.csv", [{"a": None, "b": True, "c": 1.5}, {"c": 2, "b": "x", "a": False}]) == [
        {"a": "", "b": "true", "c": "1.5"},
        {"a": "false", "b": "x", "c": "2"},
    ]


@pytest.mark.parametrize(
    ("name", "rows", "said"),
    [
        ("d.csv", [{"a": "1"}, {"a": "1", "b": "2"}], "a record with a, b in a table of a: write .jsonl instead"),
        ("d.csv", [{"a": "1", "b": "2"}, {"a": "1"}], "a record with a in a table of a, b: write .jsonl instead"),
        ("d.tsv", [{"a": [1]}], "the field 'a' holds a list, and a table texts alone: write .jsonl instead"),
        ("d.csv", [{}], "a table needs a name for every column: write .jsonl instead"),
        ("d.csv", [{"a": "\ud800"}], "its text holds half a surrogate pair, which is no character"),
        ("d.jsonl", [{"a": datetime.date(2026, 1, 1)}], "JSON cannot hold a value of type date"),
        ("d.parquet", [{"a": 1}, {"a": "x"}], "the field 'a' is no column of one type"),
        ("d.parquet", [{"a": 1}] * 2000 + [{"a": "x"}], "a field is of several types"),
        ("d.parquet", [{"a": {}}], "no child field"),
    ],
)
def test_what_a_container_cannot_hold(name: str, rows: list[dict[str, Any]], said: str, tmp_path: Path) -> None:
    """Nothing is left behind."""
    with pytest.raises(DataError) as caught:
        written(tmp_path / name, rows)
    assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["d.jsonl", "d.json.gz", "d.csv.zst", "d.parquet"])
def test_an_error_in_the_block_leaves_nothing(name: str, tmp_path: Path) -> None:
    def rows() -> Iterator[Mapping[str, Any]]:
        yield {"a": "1"}
        assert not (tmp_path / name).exists()
        raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        written(tmp_path / name, rows())
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=r"d\.jsonl exists already: give another --out$"):
        written(path, [])
    other = tmp_path / "other.jsonl"
    with pytest.raises(UsageError, match="exists already"):
        written(other, (row for row in [{"a": other.write_text("theirs", encoding="utf-8")}]))
    assert (path.read_text(encoding="utf-8"), other.read_text(encoding="utf-8")) == ("mine", "theirs")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", ["d.xlsx", "d", "d.txt", "d.arrow", "d.parquet.gz"])
def test_kinds_that_are_not_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is of no kind that can be written: give an --out that ends in \.jsonl"):
        written(tmp_path / name, [])


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^there is no folder .*none for d\.csv"):
        written(tmp_path / "none" / "d.csv", [])


FULL = """
import random, resource, signal, sys
from pathlib import Path
from graftlm.contracts.errors import DataError
from graftlm.data.containers.writing import open_writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with open_writer(Path(sys.argv[1])) as writer:
        for _ in range(5000):
            writer.write({"a": random.randbytes(100).hex()})
except DataError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["d.jsonl", "d.json.gz", "d.csv.zst", "d.parquet"])
def test_a_disk_that_is_full(name: str, tmp_path: Path) -> None:
    """A limit on the size of files stands for it, in a process of its own."""
    path = tmp_path / name
    done = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True, check=True)
    assert done.stdout == f"{path} cannot be written: File too large\n"
    assert list(tmp_path.iterdir()) == []


def test_the_same_records_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("d.jsonl.gz", "d.csv.zst"):
        for copy in ("a", "b"):
            written(tmp_path / f"{copy}{name}", [{"a": "1"}])
        assert (tmp_path / f"a{name}").read_bytes() == (tmp_path / f"b{name}").read_bytes()


# ── what data split writes ───────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_killed_split_left_is_in_no_ones_way(
    run: Callable[..., Said], write_rows: Callable[[str, Sequence[Any]], Path], tmp_path: Path
) -> None:
    out = tmp_path / "s"
    data = write_rows("d.jsonl", [{"question": f"q{i}", "answer": "a"} for i in range(60)])
    (out / ".new").mkdir(parents=True)
    (out / ".new" / "train.jsonl").write_text("half a li")
    done = run("data", "split", data, "--out", out)
    assert (done.code, done.err) == (0, "")
    assert sorted(path.name for path in out.iterdir()) == [
        "split.json", "test.jsonl", "train.jsonl", "validation.jsonl"
    ]  # fmt: skip
    (tmp_path / "other" / ".new").mkdir(parents=True)
    (tmp_path / "other" / "mine.txt").write_text("precious")
    refused = run("data", "split", data, "--out", tmp_path / "other")
    assert "is there already and holds no split.json" in refused.err


def test_all_parted_rows_are_told_with_their_places(
    run: Callable[..., Said], write_rows: Callable[[str, Sequence[Any]], Path], tmp_path: Path
) -> None:
    """Those that come second: the same question, with an answer of a class with other thresholds."""
    rows = [{"question": f"q{i}", "answer": "no" if i % 10 == 0 else "yes"} for i in range(300)]
    assert run("data", "split", write_rows("d.jsonl", rows), "--out", tmp_path / "s", "--stratify").code == 0
    rows += [{**row, "answer": "no"} for row in rows[1:30]]
    refused = run("data", "split", write_rows("d.jsonl", rows), "--out", tmp_path / "s")
    lines = refused.err.removeprefix("Error: ").splitlines()
    assert refused.code == 2
    assert 1 <= len(lines) <= 19
    for line in lines:
        assert 301 <= int(line.removeprefix(f"{tmp_path}/d.jsonl:").partition(":")[0]) <= 329
        assert re.search(r": the same is asked in (train|validation|test), with an answer of another class: ", line)
    assert sorted(path.name for path in (tmp_path / "s").iterdir())[0] == "split.json"  # what was there stays


def test_parted_rows_are_found_as_a_set_would_find_them() -> None:
    rng = random.Random(4)
    rows = [(rng.choice((i, i * 2**48 + 5)), rng.choice(NAMES)) for i in rng.choices(range(2**16), k=5000)]
    sides, known = Sides(), dict[int, set[str]]()
    for place, name in rows:
        sides.add(place, name)
        known.setdefault(place, set()).add(name)
    assert sides.parted() == {place for place, names in known.items() if len(names) > 1} != set()
