"""What a user may give as data, and the files that it stands for."""

from __future__ import annotations

import gzip
import io
import os
import sys
from pathlib import Path

import pytest

from graftlm.contracts.errors import DataError, GraftlmError, UsageError
from graftlm.data.containers import read_records
from graftlm.data.containers.opening import zstd
from graftlm.data.inputs import find, folder_splits

LINE = b'{"a": 1}\n'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def put(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(LINE)


def labels(data: str, **choices: object) -> list[str]:
    found = find(data, spool=Path("spool"), **choices)  # type: ignore[arg-type]
    assert found.reference == data
    assert all(file.path.is_file() for file in found.files)
    return [file.label for file in found.files]


def refusal(data: str, **choices: object) -> str:
    with pytest.raises(GraftlmError) as caught:
        labels(data, **choices)
    return str(caught.value)


# ── files, folders, globs ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_a_folder_and_globs(here: Path) -> None:
    put("d.jsonl", "in/b.csv.gz", "in/a.jsonl", "in/deep/c.parquet", "in/README.md", "in/LICENSE.txt", "in/state.json")
    put("in/.hidden.jsonl", "in/_part.jsonl", "in/.git/x.json", "[x].jsonl")
    assert labels("d.jsonl") == ["d.jsonl"]
    assert labels("[x].jsonl") == ["[x].jsonl"]
    assert labels("in") == labels("in/") == ["in/a.jsonl", "in/b.csv.gz", "in/deep/c.parquet"]
    assert labels(str(here / "in")) == [str(here / "in" / name) for name in ("a.jsonl", "b.csv.gz", "deep/c.parquet")]
    assert labels("in/*") == ["in/a.jsonl", "in/b.csv.gz"]
    assert labels("in/**/*.p*") == ["in/deep/c.parquet"]
    assert labels("**") == ["[x].jsonl", "d.jsonl", "in/a.jsonl", "in/b.csv.gz", "in/deep/c.parquet"]
    assert labels("?.jsonl") == ["d.jsonl"]
    put("in/_cache/y.json")
    assert "in/_cache/y.json" not in labels("in")


def test_what_a_split_keeps_beside_its_files_is_no_data(here: Path) -> None:
    put("s/split.json", "s/train.jsonl", "s/test.jsonl")
    assert labels("s") == ["s/test.jsonl", "s/train.jsonl"]
    assert labels("s/*") == ["s/test.jsonl", "s/train.jsonl"]
    assert folder_splits("s") == {"train": "s/train.jsonl", "test": "s/test.jsonl"}


def test_the_home_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put("d.jsonl")
    monkeypatch.setenv("HOME", str(here))
    assert labels("~/d.jsonl") == labels("~/*.jsonl") == [str(here / "d.jsonl")]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("none.jsonl", "there is no data file none.jsonl"),
        ("d.xlsx", "d.xlsx is of no known kind: give a file that ends in .jsonl, "),
        ("empty", "the folder empty holds no data file (.jsonl, "),
        ("none/*.jsonl", "no file matches none/*.jsonl"),
        ("*.xlsx", "no file that *.xlsx matches is of a known kind (.jsonl, "),
        ("pipe", "pipe is no regular file: pipe it in, and give '-' as the data"),
        ("", "no data was named: give a file, a folder, a glob, '-' or hf:OWNER/NAME"),
        ("x" * 300, f"{'x' * 300} cannot be read: File name too long"),
    ],
)
def test_what_is_no_data(data: str, said: str, here: Path) -> None:
    put("d.xlsx")
    (here / "empty").mkdir()
    os.mkfifo("pipe")
    assert refusal(data).startswith(said)


def test_a_split_of_something_local(here: Path) -> None:
    put("d.jsonl")
    said = "--split chooses a split of a data set of the hub (hf:OWNER/NAME), and d.jsonl is none"
    assert refusal("d.jsonl", split="test") == said
    with pytest.raises(UsageError):
        labels("-", split="test")


# ── folders with splits ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train.jsonl", "test.csv"], {"train": "d/train.jsonl", "test": "d/test.csv"}),
        (
            ["colours-train.jsonl", "colours-dev.jsonl", "more.jsonl"],
            {"train": "d/colours-train.jsonl", "validation": "d/colours-dev.jsonl"},
        ),
        (
            ["train/a.jsonl", "train/deep/b.jsonl", "valid/a.jsonl", "Test/x.jsonl"],
            {"train": "d/train", "validation": "d/valid/a.jsonl", "test": "d/Test/x.jsonl"},
        ),
        (
            [
                "data/train-00000-of-00002.parquet",
                "data/train-00001-of-00002.parquet",
                "data/val-00000-of-00001.parquet",
            ],
            {"train": "d/data/train-0000*-of-00002.parquet", "validation": "d/data/val-00000-of-00001.parquet"},
        ),
        (["train1.jsonl", "train_2.jsonl", "test.jsonl"], {"train": "d/train*.jsonl", "test": "d/test.jsonl"}),
        (
            ["a/train/x.jsonl", "b/train/x.jsonl", "b/test/x.jsonl"],
            {"train": "d/*/train/x.jsonl", "test": "d/b/test/x.jsonl"},
        ),
        (["train.jsonl", "training.jsonl"], None),
        (["train.jsonl", "latest.jsonl", "developers.jsonl", "evaluate.jsonl"], None),
        (["validation.jsonl", "test.jsonl"], None),
        (["a.jsonl", "b.jsonl"], None),
        ([], None),
    ],
)
def test_a_folder_whose_files_are_named_by_split(names: list[str], expected: dict[str, str] | None, here: Path) -> None:
    Path("d").mkdir()
    put(*(f"d/{name}" for name in names))
    found = folder_splits("d")
    assert found == expected
    given = [label for reference in (found or {}).values() for label in labels(reference)]
    assert len(given) == len(set(given))
    assert set(given) == {f"d/{name}" for name in names if found and name != "more.jsonl"}


def test_files_of_a_split_that_no_pattern_names(here: Path) -> None:
    put(
        "d/train.jsonl",
        "d/a-train.jsonl",
        "d/b.train.csv",
        "d/a-test.jsonl",
        "d/a-val-train_x.jsonl",
        "d/trainer.jsonl",
    )
    with pytest.raises(DataError, match="cannot be named by one pattern: put them into a folder 'train' there"):
        folder_splits("d")


def test_no_folder_has_no_splits(here: Path) -> None:
    put("train.jsonl", "test.jsonl")
    assert folder_splits(".") == {"train": "train.jsonl", "test": "test.jsonl"}
    for data in ("train.jsonl", "*.jsonl", "none", "-", "hf:team/colours", ""):
        assert folder_splits(data) is None


# ── standard input ───────────────────────────────────────────────────────────────────────────────────────────────────


def piped(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (LINE * 3, ".json"),
        (b"\xef\xbb\xbf\n [\n" + b",\n".join([LINE] * 3) + b"]", ".json"),
        (gzip.compress(LINE * 3, mtime=0), ".json.gz"),
        (zstd().compress(b"[" + b",".join([LINE] * 3) + b"]"), ".json.zst"),
    ],
)
def test_standard_input(content: bytes, suffix: str, here: Path, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the same: one file."""
    for _ in range(2):
        piped(content, monkeypatch)
        (file,) = find("-", spool=spool).files
        assert file.label == "<stdin>"
        assert file.path.name.endswith(suffix)
        assert file.path.read_bytes() == content
        records = list(read_records(file.path, file.label))
        assert [record for record, _ in records] == [{"a": 1}] * 3
        assert records[0][1].startswith("<stdin>:")
        assert list(spool.iterdir()) == [file.path]


@pytest.mark.parametrize("name", ["rows.parquet", "rows.arrow", "rows.feather"])
def test_tables_on_standard_input(name: str, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = Path(__file__).parents[1] / "data" / "containers" / name
    piped(sample.read_bytes(), monkeypatch)
    (file,) = find("-", spool=spool).files
    assert [record for record, _ in read_records(file.path)] == [record for record, _ in read_records(sample)]


def test_much_on_standard_input(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    piped(LINE * 1_000_000, monkeypatch)
    (file,) = find("-", spool=spool).files
    assert sum(1 for _ in read_records(file.path)) == 1_000_000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "standard input is empty, or was read already"),
        (b"a,b\n1,2\n", "standard input takes JSON lines or a JSON list"),
        (gzip.compress(b"a,b\n", mtime=0), "standard input takes JSON lines or a JSON list"),
        (b"\x1f\x8bxx", "standard input takes JSON lines or a JSON list"),
        (b"\x28\xb5\x2f\xfdxx", "standard input takes JSON lines or a JSON list"),
    ],
)
def test_standard_input_that_is_no_data(
    content: bytes, said: str, here: Path, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped(content, monkeypatch)
    with pytest.raises(DataError) as caught:
        find("-", spool=spool)
    assert str(caught.value).startswith(said)
    assert not spool.exists()


def test_standard_input_that_is_a_terminal(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    primary, secondary = os.openpty()
    with os.fdopen(primary, "rb", 0), os.fdopen(secondary, "rb", 0) as terminal:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(terminal))
        with pytest.raises(UsageError, match="which is the terminal: pipe data into graftlm"):
            find("-", spool=spool)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match="standard input is closed"):
        find("-", spool=spool)
