"""Every container gives its records with the right places, whatever is broken in it, and in flat memory."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from reading_back import raised, read, row

from graftlm.contracts.errors import DataError
from graftlm.data.containers import read_records
from graftlm.data.containers.opening import zstd
from graftlm.data.containers.writing import open_writer

SAMPLES = Path(__file__).parents[1] / "data" / "containers"
ROWS = [
    {"instruction": "What colour is grass?", "output": "green"},
    {"instruction": 'Say "hi",\nand bye', "output": "hi; bye"},
    {"instruction": "Größe von 漢字?", "output": "zwei 😀"},
]


def whole_or_said(path: Path, count: int) -> str:
    """Reads what there is; the sentence that ended it. Whatever came before it is as it was written."""
    good = 0
    try:
        for record, place in read_records(path, "d"):
            assert place.startswith("d:")
            good += not isinstance(record, DataError)
    except DataError as error:
        said = str(error)
        return said if said.startswith(("d:", "d ")) else f"without a place: {said}"
    assert good <= count
    return ""


# ── samples ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("rows.jsonl", [1, 2, 3]),
        ("rows.ndjson", [1, 2, 3]),
        ("rows.jsonl.gz", [1, 2, 3]),
        ("rows.json", [2, 3, 4]),
        ("rows.json.zst", [2, 3, 4]),
        ("wrapped.json", [3, 7, 11]),
        ("rows.csv", [2, 3, 5]),
        ("rows.csv.zst", [2, 3, 5]),
        ("semicolons.csv", [2, 3, 5]),
        ("rows.tsv", [2, 3, 5]),
        ("rows.tsv.gz", [2, 3, 5]),
        ("rows.parquet", [1, 2, 3]),
        ("rows.arrow", [1, 2, 3]),
        ("rows.feather", [1, 2, 3]),
    ],
)
def test_a_sample_of_each(name: str, lines: list[int]) -> None:
    assert read(SAMPLES / name) == (ROWS, lines)


def test_every_sample_is_tested() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [path.name for path in SAMPLES.iterdir() if f'"{path.name}"' not in text] == []


def test_texts() -> None:
    assert read(SAMPLES / "texts.txt") == (
        [{"text": "The first text.\nIt has two lines."}, {"text": "The second text."}],
        [1, 5],
    )


def test_dialogues_as_text() -> None:
    """An answer may hold blank lines; the next speaker begins the next record."""
    assert read(SAMPLES / "dialogues.txt") == (
        [
            {"text": "<HUMAN>: What colour is grass?\n<ASSISTANT>: Green.\n\nLike a frog."},
            {"text": "<HUMAN>: And snow?\n<ASSISTANT>: White."},
        ],
        [1, 6],
    )


def test_texts_around_a_dialogue_and_what_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "d.text"
    path.write_bytes(b"\xef\xbb\xbf\r\na\r\n \r\nb\xff\nc\n\n<HUMAN>: d\n\n\ne\n\n<HUMAN>: f\n\n")
    records, lines = read(path)
    assert lines == [2, 4, 7, 12]
    assert records[0] == {"text": "a"}
    assert str(records[1]) == "not UTF-8 text: save the file as UTF-8"
    assert records[2:] == [{"text": "<HUMAN>: d\n\n\ne"}, {"text": "<HUMAN>: f"}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<human>: a\n<assistant>: b\n\n<Human>: c\n\n<Assistant>: d", {1: "<human>: a…b", 4: "<Human>: c…d"}),
        ("Be brief.\n<HUMAN>: a\n<ASSISTANT>: b\n\nBe kind.\n<HUMAN>: c", {1: "Be brief.…b", 5: "Be kind.…c"}),
        ("<HUMAN>: a\n<ASSISTANT>: b\n\nBe kind. <HUMAN>: c", {1: "<HUMAN>: a…b", 4: "Be kind. <HUMAN>: c"}),
        ("<HUMAN>: a\n\n<ASSISTANT>: b\n<HUMAN>: c\n\n<ASSISTANT>: d", {1: "<HUMAN>: a…d"}),
        ("<HUMAN>: a\n<ASSISTANT>: b\n\nso\n\n\non", {1: "<HUMAN>: a…on"}),
        ("Text.\n\nOf <human>:\n\nmore", {1: "Text.", 3: "Of <human>:…more"}),
        ("<ASSISTANT>: a\n\n<ASSISTANT>: b <HUMAN>:", {1: "<ASSISTANT>: a", 3: "<ASSISTANT>: b <HUMAN>:"}),
        ("<HUMAN>: a\n\nend or system\n<HUMAN>: b\n\nc\n\n<HUMAN>: d", {3: "may be a system text", 8: "<HUMAN>: d"}),
        ("<HUMAN>: a\nb\n\nc\n\xff\n\n<HUMAN>: d", {5: "not UTF-8 text", 7: "<HUMAN>: d"}),
    ],
)  # fmt: skip
def test_where_a_dialogue_begins(text: str, expected: dict[int, str], tmp_path: Path) -> None:
    """The markers are those of the format: in any case, wherever they stand, and a system text before the first."""
    (tmp_path / "d.txt").write_bytes(text.encode("latin-1") + b"\n\n")
    records, lines = read(tmp_path / "d.txt")
    assert lines == list(expected)
    for record, words in zip(records, expected.values(), strict=True):
        said = str(record) if isinstance(record, DataError) else record["text"]
        first, _, last = words.partition("…")
        assert first in said
        assert isinstance(record, DataError) or (said.startswith(first) and said.endswith(last or first))


# ── what a disk or a network leaves of a file ────────────────────────────────────────────────────────────────────────


def many(folder: Path, name: str, count: int = 4000) -> Path:
    rng = random.Random(1)
    path = folder / name
    with open_writer(path) as writer:
        for i in range(count):
            writer.write(row(f"question {i}", f"{rng.random()}"))
    return path


@pytest.mark.parametrize("name", ["d.jsonl.gz", "d.json.gz", "d.csv.gz", "d.jsonl.zst", "d.tsv.zst", "d.parquet"])
def test_a_file_that_is_cut_short(name: str, tmp_path: Path) -> None:
    path = many(tmp_path, name)
    content = path.read_bytes()
    for share in (0.0001, 0.3, 0.7, 0.99):
        path.write_bytes(content[: max(3, int(len(content) * share))])
        assert "cut short" in whole_or_said(path, 4000)


@pytest.mark.parametrize("name", ["d.jsonl.gz", "d.json.zst", "d.csv.gz", "d.parquet", "d.json", "d.tsv", "d.arrow"])
def test_a_file_with_other_bytes_in_it(name: str, tmp_path: Path) -> None:
    """Whatever comes of it is an error of ours, or data."""
    if name == "d.arrow":
        path = tmp_path / name
        table = pa.table({"a": [f"text {i}" for i in range(4000)], "b": [["x"] * (i % 3) for i in range(4000)]})
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=500)
    else:
        path = many(tmp_path, name)
    content = path.read_bytes()
    rng = random.Random(2)
    for _ in range(60):
        changed = bytearray(content)
        at = rng.randrange(len(changed))
        changed[at : at + 8] = rng.randbytes(8)
        path.write_bytes(changed)
        assert not whole_or_said(path, 4001).startswith("without a place")


def test_rows_before_the_damage_come_through(tmp_path: Path) -> None:
    path = many(tmp_path, "d.jsonl.gz", 40_000)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    found: list[Any] = []
    with pytest.raises(DataError, match="its gzip data is damaged or cut short"):
        found.extend(read_records(path, "d"))
    assert len(found) > 10_000
    assert all((r["instruction"], place) == (f"question {i}", f"d:{i + 1}") for i, (r, place) in enumerate(found))


def test_several_members_and_frames(tmp_path: Path) -> None:
    """As ``cat a.gz b.gz`` and parallel compressors make them."""
    lines = [json.dumps({"a": i}).encode() + b"\n" for i in range(3)]
    (tmp_path / "d.jsonl.gz").write_bytes(b"".join(map(gzip.compress, lines)))
    (tmp_path / "d.jsonl.zst").write_bytes(b"".join(map(zstd().compress, lines)))
    for name in ("d.jsonl.gz", "d.jsonl.zst"):
        assert read(tmp_path / name) == ([{"a": 0}, {"a": 1}, {"a": 2}], [1, 2, 3])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("d.jsonl", gzip.compress(b"{}", mtime=0), "d cannot be read: it is gzip data: name it .gz"),
        ("d.jsonl.gz", b"{}", "d cannot be read: it is not gzip data, as its name says"),
        ("d.csv.zst", gzip.compress(b"a", mtime=0), "d cannot be read: it is not zstd data, as its name says"),
        ("d.jsonl", b"version https://git-lfs.example/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        ("d.parquet", b"PAR1", "d cannot be read as a Parquet file, which is damaged or cut short"),
        ("d.parquet", b"", "d cannot be read as a Parquet file"),
        ("d.arrow", b"", "d cannot be read as an Arrow file"),
        ("d.feather", b"FEA1....", "d is Feather version 1: write it again as version 2"),
        ("d.xlsx", b"", "d is of no known kind: give a file that ends in .jsonl, "),
        ("d.gz", b"", "d is of no known kind"),
        ("d.parquet.gz", b"", "d is of no known kind"),
    ],
)
def test_files_that_are_not_what_they_are_called(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert said in raised(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^there is no data file .*none\.jsonl$"):
        list(read_records(tmp_path / "none.jsonl"))
    assert raised(tmp_path).startswith("d is a folder: give a file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.touch(mode=0)
    assert raised(path) == "d cannot be read: Permission denied"


def test_columns_of_one_name(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pa.ipc.new_file(tmp_path / "d.arrow", table.schema) as writer:
        writer.write_table(table)
    assert raised(tmp_path / "d.arrow") == "d has several columns of the name 'a'"


def test_a_data_set_as_datasets_keeps_it(tmp_path: Path) -> None:
    from datasets import Dataset

    rows = [{"messages": [{"role": "user", "content": f"{i}"}], "n": i} for i in range(2500)]
    Dataset.from_list(rows).save_to_disk(str(tmp_path / "kept"))
    (path,) = (tmp_path / "kept").glob("*.arrow")
    assert read(path) == (rows, list(range(1, 2501)))


# ── memory ───────────────────────────────────────────────────────────────────────────────────────────────────────────

MIB = 1 << 20
ENDS = """
import sys
from pathlib import Path
from graftlm.contracts.errors import DataError
from graftlm.data.containers import read_records
said = ""
try:
    for record, place in read_records(Path(sys.argv[1]), "d"):
        pass
except DataError as error:
    said = str(error)
print(said)
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""

READ = """
import sys
from pathlib import Path
from graftlm.data.containers import read_records
for record, place in read_records(Path(sys.argv[1])):
    assert isinstance(record, dict)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(place.rpartition(":")[2], peak.split()[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
@pytest.mark.parametrize(
    ("name", "parts", "said"),
    [
        ("d.txt.gz", (b"a" + b"\n" * MIB, 1, b"\n" * MIB, 15), ""),
        ("d.txt.gz", (b"\na" + b"b" * MIB, 1, b"b" * MIB, 299), "d:2: a line longer than 64 MiB"),
        ("d.jsonl.gz", (b'\n{"a": "', 1, b"b" * MIB, 299), "d:2: a line longer than 64 MiB, which no record may be"),
        ("d.csv.gz", (b"\na,b\n", 1, b"," * MIB, 299), "d:3: a line longer than 64 MiB"),
        ("d.json.gz", (b'[{"a": 1},\n{"a": "', 1, b"b" * MIB, 299), "d:2: a record longer than 64 MiB"),
        ("d.json.gz", (b'[{"a": 1},\n', 1, b"\n" * MIB, 99, b'{"a": 1}]', 1), ""),
    ],
    ids=lambda value: "" if isinstance(value, tuple) else value,
)  # fmt: skip
def test_a_small_file_cannot_fill_the_memory(name: str, parts: tuple[Any, ...], said: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with gzip.open(path, "wb", compresslevel=1) as file:
        for content, times in zip(parts[::2], parts[1::2], strict=True):
            for _ in range(times):
                file.write(content)
    read = subprocess.run([sys.executable, "-c", ENDS, path], capture_output=True, text=True, check=True)
    end, peak = read.stdout.splitlines()
    assert end.startswith(said) if said else end == ""
    assert int(peak) / 1024 < (320 if said else 100), peak


def test_a_text_may_be_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graftlm.data.containers.texts.LONGEST", 100)
    path = tmp_path / "d.txt"
    for text, line in (("\n" + "ab\n" * 34, 2), ("a\n\n<HUMAN>: a" + "\n" * 90 + "b", 3), ("a\n\n" + "b" * 101, 3)):
        path.write_text(text)
        assert raised(path).startswith(f"d:{line}: a text longer than 64 MiB, which no record may be: put a blank line")
    path.write_text("ab\n" * 33 + "\n" + "b" * 100)
    assert len(read(path)[0]) == 2


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
@pytest.mark.parametrize(
    ("name", "allowed"),
    [("d.jsonl", 4), ("d.json", 8), ("d.csv", 4), ("d.jsonl.gz", 4), ("d.jsonl.zst", 4), ("d.parquet", 40)],
)
def test_memory_is_flat(name: str, allowed: int, tmp_path: Path) -> None:
    """Peak memory (MiB) of a reader of 1e4 and of 1e6 rows. A Parquet reader keeps pages, of 1 MB a column."""
    peaks = []
    for count in (10_000, 1_000_000):
        path = many(tmp_path, f"{count}{name}", count)
        read = subprocess.run([sys.executable, "-c", READ, path], capture_output=True, text=True, check=True)
        last, peak = map(int, read.stdout.split())
        assert last >= count
        peaks.append(peak / 1024)
    assert peaks[1] - peaks[0] < allowed, peaks
