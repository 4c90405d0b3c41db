"""``graftlm data preview|split|convert|mix`` on every format, every container, and what is no data."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Said, alpaca_rows

from graftlm.contracts.conversation import Conversation, RenderOptions
from graftlm.contracts.errors import DataError
from graftlm.contracts.specs import DataFormat
from graftlm.data.conversations import Reading, detect, read, strict
from graftlm.data.inputs import find
from graftlm.data.mixing import capability_of, quotas
from graftlm.encoding.rendering import render
from graftlm.planning.prompted_model import prompted_model
from graftlm_registry.plugins import registry

Run = Callable[..., Said]
Write = Callable[[str, Sequence[Any]], Path]
FORMATS = sorted((ROOT / "tests" / "data" / "formats").iterdir())
CONTAINERS = sorted((ROOT / "tests" / "data" / "containers").iterdir())
BY_NAME = {path.name: path for path in FORMATS}
TARGETS = ("alpaca", "sharegpt", "openai", "pairs")
NAMES = ("train", "validation", "test")


def name_of(path: Path) -> str:
    return path.name


def format_of(path: Path) -> DataFormat:
    return detect(find(str(path), spool=path.parent), list(registry().all(DataFormat)), {})


def with_places(path: Path) -> list[Conversation]:
    inputs = find(str(path), spool=path.parent)
    return list(strict(read(inputs, Reading(format_of(path)))))


def conversations(path: Path) -> list[Conversation]:
    return [replace(row, source="") for row in with_places(path)]


def said(words: str) -> list[Any]:
    return [json.loads(line) for line in words.splitlines()]


def records(path: Path) -> list[Any]:
    return said(path.read_text(encoding="utf-8")) if path.exists() else []


def pairs(count: int, first: int = 0) -> list[dict[str, str]]:
    return [{"question": f"question {i}", "answer": f"answer {i}"} for i in range(first, first + count)]


def labelled(count: int, first: int = 0) -> list[dict[str, str]]:
    """One in ten is rare."""
    return [
        {"question": f"question {i}", "answer": "no" if i % 10 == 0 else "yes"} for i in range(first, first + count)
    ]


# ── every command on every file ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", [*FORMATS, *CONTAINERS], ids=name_of)
def test_every_command_takes_every_file(run: Run, path: Path, tmp_path: Path) -> None:
    rows = conversations(path)
    target = "text" if rows[0].is_document else "openai"

    shown = run("data", "preview", path, "--model", "tiny-qwen", "--rows", "2")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.count(f"{path}:") == min(2, len(rows))

    done = run("data", "split", path, "--out", tmp_path / "split")
    assert (done.code, done.err) == (0, "")
    assert f"{len(rows)} rows written to {tmp_path / 'split'}" in done.out
    parted = [row for file in (tmp_path / "split").glob("*.jsonl") for row in conversations(file)]
    assert sorted(map(repr, parted)) == sorted(map(repr, rows))

    done = run("data", "convert", path, "--as", target, "--out", tmp_path / "converted.jsonl")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        f"{len(rows)} rows of {format_of(path).name} written to {tmp_path / 'converted.jsonl'} as {target}\n"
    )
    assert conversations(tmp_path / "converted.jsonl") == rows

    done = run("data", "mix", path, "--out", tmp_path / "mixed.jsonl")
    assert (done.code, done.err) == (0, "")
    mixed = conversations(tmp_path / "mixed.jsonl")
    assert [replace(row, capability="") for row in mixed] == rows
    assert {row.capability for row in mixed} == {path.name.partition(".")[0]}


def sides(folder: Path) -> dict[str, list[Any]]:
    return {name: records(folder / f"{name}.jsonl") for name in NAMES}


def where(folder: Path) -> dict[str, str]:
    """The split of each record."""
    return {json.dumps(record): name for name, found in sides(folder).items() for record in found}


# ── what cannot be ───────────────────────────────────────────────────────────────────────────────────────────────────

PREVIEW, SPLIT, CONVERT, MIX = (
    ("preview", "--model", "tiny-qwen"), ("split", "--out", "new"), ("convert", "--as", "pairs", "--out", "new.jsonl"),
    ("mix", "--out", "new.jsonl"),
)  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_rows: Write) -> Path:
    """A folder with sound data, empty data and odd data, in which commands run."""
    folder = tmp_path / "here"
    folder.mkdir()
    write_rows("here/good.jsonl", pairs(12))
    write_rows("here/texts.jsonl", [{"text": f"text {i}"} for i in range(5)])
    write_rows("here/there.jsonl", pairs(1))
    write_rows("here/odd.jsonl", [{"a": 1, "b": 2}])
    (folder / "broken.jsonl").write_text('{"question": "q", "answer": "a"}\n{"question": \n')
    (folder / "empty.jsonl").write_text("")
    (folder / "thing.pdf").write_text("x")
    (folder / "bare").mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("command", [PREVIEW, SPLIT, CONVERT, MIX], ids=lambda command: command[0])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("empty.jsonl", "empty.jsonl has no records"),
        ("empty.jsonl --format pairs", "empty.jsonl has no records"),
        ("broken.jsonl", "broken.jsonl:2: not valid JSON"),
        ("odd.jsonl", "odd.jsonl:1: a record of no known format, with a, b"),
        ("thing.pdf", "thing.pdf is of no known kind"),
        ("nothing.jsonl", "there is no data file nothing.jsonl"),
        ("no*.jsonl", "no file matches no*.jsonl"),
        ("bare", "the folder bare holds no data file"),
        ("good.jsonl --format alpaca", "good.jsonl:1: not a record of format 'alpaca'"),
        ("good.jsonl --format alpaka", "unknown format 'alpaka'. Did you mean 'alpaca'?"),
        ("good.jsonl --columns input", "--columns 'input' is not of the form FIELD=COLUMN"),
        ("there.jsonl --columns input=nothing", "there.jsonl:1: no column 'nothing'"),
        ("good.jsonl --split train", "--split chooses a split of a data set of the hub"),
    ],
)
def test_what_is_no_data_is_one_sentence(run: Run, here: Path, command: list[str], data: str, words: str) -> None:
    before = sorted(here.iterdir())
    refused = run("data", command[0], *data.split(), *command[1:])
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("Error: ")
    assert words in refused.err
    assert len(refused.err.splitlines()) == 1
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("preview good.jsonl", "Missing option '--model'"),
        ("preview good.jsonl --model tiny-qwem", "unknown model 'tiny-qwem'"),
        ("preview good.jsonl --model tiny-qwen --rows 0", "--rows must be at least 1"),
        ("preview good.jsonl --model tiny-qwen --order last", "'last' is not one of"),
        ("preview good.jsonl --model tiny-qwen --template qwen4", "unknown template 'qwen4'. Did you mean"),
        ("preview good.jsonl --model tiny-qwen --template mistral-v3", "has no token '<s>'"),
        ("preview good.jsonl --model tiny-glm --thinking on", "'glm4-newline' has no thinking mode"),
        ("split good.jsonl", "Missing option '--out'"),
        ("split good.jsonl --out bare --val-split 0.9 --test-split 0.1", "together less than 1"),
        ("split good.jsonl --out bare --val-split nan", "between 0 and 0.9"),
        ("split good.jsonl --out .", "good.jsonl lies in --out ."),
        ("split good.jsonl --out good.jsonl", "good.jsonl lies in --out"),
        ("split good.jsonl --out there.jsonl", "there.jsonl is there already and holds no split.json"),
        ("split good.jsonl --out there.jsonl/new", "there.jsonl/new cannot be written: Not a directory"),
        ("split good.jsonl --out bare --stratify", "every answer stands once"),
        ("convert good.jsonl --as alpaca", "Missing option '--out'"),
        ("convert good.jsonl --as paris --out new.jsonl", "unknown format 'paris'. Did you mean 'pairs'?"),
        ("convert good.jsonl --as alpaca --out there.jsonl", "there.jsonl exists already: give another --out"),
        ("convert good.jsonl --as alpaca --out new.txt", "new.txt is of no kind that can be written"),
        ("convert good.jsonl --as alpaca --out no/new.jsonl", "there is no folder no for new.jsonl"),
        ("mix", "Missing argument 'DATA=WEIGHT…'"),
        ("mix good.jsonl=2", "Missing option '--out'"),
        ("mix good.jsonl=two --out new.jsonl", "is not of the form DATA=WEIGHT"),
        ("mix good.jsonl=0 --out new.jsonl", "a weight must be a positive number"),
        ("mix good.jsonl=nan --out new.jsonl", "a weight must be a positive number"),
        ("mix =2 --out new.jsonl", "a weight must be a positive number"),
        ("mix good.jsonl --rows 0 --out new.jsonl", "--rows must be at least 1"),
        ("mix good.jsonl=20 there.jsonl --rows 5 --out new.jsonl", "there.jsonl gets no row in this mixture"),
        ("mix good.jsonl=1000 there.jsonl --out new.jsonl", "there.jsonl gets no row in this mixture"),
        ("mix good.jsonl ./good.jsonl --out new.jsonl", "two data sets are named 'good'"),
        ("mix good.jsonl texts.jsonl --out new.jsonl", "texts without turns and conversations cannot stand in one"),
        ("mix good.jsonl there.jsonl --out there.jsonl", "there.jsonl exists already"),
        ("mix good.jsonl --out new.csv", "a table texts alone: write .jsonl instead"),
    ],
)
def test_wrong_flags_and_places_are_one_sentence(run: Run, here: Path, command: str, words: str) -> None:
    before = sorted(here.rglob("*"))
    refused = run("data", *command.split())
    assert (refused.code, refused.out) == (2, "")
    assert words in refused.err
    assert refused.err.count("Error: ") == 1
    assert sorted(here.rglob("*")) == before


def test_the_first_faults_are_told_together(run: Run, here: Path, write_rows: Write) -> None:
    data = write_rows("here/many.jsonl", [*pairs(1), *({"question": f"q{i}", "answer": ""} for i in range(50))])
    for command in (SPLIT, CONVERT, MIX, (*PREVIEW, "--order", "random"), (*PREVIEW, "--rows", "99")):
        refused = run("data", command[0], data, *command[1:])
        assert refused.code == 2
        lines = refused.err.splitlines()
        assert lines[0] == f"Error: {data}:2: the last answer is empty"
        assert lines[1:20] == [f"{data}:{n}: the last answer is empty" for n in range(3, 22)]
        assert "the first 20" in lines[20]
    assert not (here / "new").exists()
    assert not (here / "new.jsonl").exists()


# ── preview ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def picture(rows: Sequence[Conversation], model: str, train_on: str = "assistant", thinking: bool = False) -> str:
    """What must be printed: the rendered text itself, the trained stretches in brackets."""
    chosen = prompted_model(model, registry())
    out = []
    for row in rows:
        spans = [s for s in render(chosen.template, row, RenderOptions(thinking=thinking), train_on) if s.text]
        ids = chosen.tokenizer.encode(spans)
        trained = sum(label != -100 for label in ids.labels)
        runs = [("".join(s.text for s in run), on) for on, run in groupby(spans, key=lambda s: s.trained)]
        text = "".join(f"⟦{words}⟧" if on else words for words, on in runs)
        out.append(f"{row.source}: {len(ids.ids)} tokens, {trained} trained, template {chosen.template.name}\n{text}\n")
    return "\n".join(out)


@pytest.mark.parametrize("path", FORMATS, ids=name_of)
def test_a_preview_is_the_rendered_text(run: Run, path: Path) -> None:
    shown = run("data", "preview", path, "--model", "tiny-qwen", "--rows", "99")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out == picture(with_places(path), "tiny-qwen")


@pytest.mark.parametrize("model", ["tiny-mistral", "tiny-glm", "tiny-falcon", "small-qwen"])
@pytest.mark.parametrize("train_on", ["assistant", "last", "all"])
def test_a_preview_follows_the_model_and_what_is_trained(run: Run, model: str, train_on: str) -> None:
    path = BY_NAME["human-assistant.jsonl"]
    shown = run("data", "preview", path, "--model", model, "--train-on", train_on, "--rows", "99")
    assert shown.out == picture(with_places(path), model, train_on)


def test_tools_and_turns_that_are_not_trained(run: Run, write_rows: Write) -> None:
    shown = run("data", "preview", BY_NAME["openai.jsonl"], "--model", "tiny-qwen", "--order", "longest", "--rows", "2")
    assert "<tools>" in shown.out
    assert '⟦<tool_call>\n{"name": "stock", "arguments": {"part": "chain, 11-speed"}}\n</tool_call><|im_end|>⟧' in (
        shown.out
    )
    assert '<tool_response>\n{"pieces": 4}\n</tool_response>' in shown.out
    turns = [
        {"role": "user", "content": "one"}, {"role": "assistant", "content": "bad", "train": False},
        {"role": "user", "content": "two"}, {"role": "assistant", "content": "good"},
    ]  # fmt: skip
    shown = run("data", "preview", write_rows("half.jsonl", [{"messages": turns}]), "--model", "tiny-mistral")
    assert shown.out.endswith("<s>[INST] one[/INST] bad</s>[INST] two[/INST]⟦ good</s>⟧\n")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("tiny-glm", "openai.jsonl:17: it has tools, and the template 'glm4-newline' has no form for them"),
        ("tiny-falcon", "openai.jsonl:17: it has tools, and the template 'falcon-instruct' has no form for them"),
        ("tiny-mistral", "openai.jsonl:17: Mistral's templates need tool call ids of 9 letters or digits"),
    ],
)
def test_what_a_template_cannot_say_is_refused_with_its_place(run: Run, model: str, words: str) -> None:
    for order in ("first", "longest"):
        refused = run("data", "preview", BY_NAME["openai.jsonl"], "--model", model, "--rows", "99", "--order", order)
        assert (refused.code, refused.out) == (2, "") if order == "longest" else (2, refused.out)
        assert words in refused.err


def places(out: str) -> list[int]:
    return [int(n) for n in re.findall(r"^\S+:(\d+): \d+ tokens", out, re.MULTILINE)]


def test_first_longest_and_random(run: Run, write_rows: Write) -> None:
    rows = [{"question": f"q{i}", "answer": "long " * (i * 7 % 40)} for i in range(1, 40)]
    data = write_rows("d.jsonl", rows)

    def shown(*flags: str) -> list[int]:
        return places(run("data", "preview", data, "--model", "tiny-mistral", *flags).out)

    assert shown() == [1, 2, 3]
    assert shown("--rows", "99") == list(range(1, 40))
    longest = sorted(range(1, 40), key=lambda i: -(i * 7 % 40))
    assert shown("--order", "longest", "--rows", "5") == longest[:5]
    drawn = shown("--order", "random", "--rows", "5", "--seed", "7")
    assert len(set(drawn)) == 5
    assert drawn == shown("--order", "random", "--rows", "5", "--seed", "7")
    assert drawn != shown("--order", "random", "--rows", "5", "--seed", "8")
    assert sorted(shown("--order", "random", "--rows", "99")) == list(range(1, 40))


def test_ids(run: Run) -> None:
    path = BY_NAME["pairs.jsonl"]
    shown = run("data", "preview", path, "--model", "tiny-mistral", "--rows", "1", "--ids").out.splitlines()
    chosen = prompted_model("tiny-mistral", registry())
    spans = render(chosen.template, with_places(path)[0], RenderOptions())
    encoded = chosen.tokenizer.encode(spans)
    found = [re.fullmatch(r"(\d+) +(-|control|trained|control trained) +('.*'|\".*\")", line) for line in shown[2:]]
    assert [int(row[1]) for row in found if row] == encoded.ids
    assert ["trained" in row[2] for row in found if row] == [label != -100 for label in encoded.labels]
    assert "".join(eval(row[3]) for row in found if row) == "".join(span.text for span in spans)


@pytest.mark.parametrize("ids", [False, True])
def test_colours_on_a_terminal_alone(run: Run, ids: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    path = BY_NAME["pairs.jsonl"]
    arguments = ("data", "preview", path, "--model", "tiny-mistral", "--rows", "99", *["--ids"] * ids)
    plain = run(*arguments).out
    assert "\x1b" not in plain
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = run(*arguments).out
    assert "\x1b[" in coloured
    assert "⟦" not in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == re.sub("[⟦⟧]", "", plain)
    if not ids:  # what is green is what is trained
        green = re.findall(r"\x1b\[32m(?:\x1b\[1m)?(?:\x1b\[4m)?([^\x1b]*)\x1b\[0m", coloured)
        assert "".join(green) == "".join(re.findall("⟦(.*?)⟧", plain, re.DOTALL))
    monkeypatch.setenv("NO_COLOR", "1")
    if not ids:
        assert run(*arguments).out == plain


def test_data_that_looks_like_colours_is_shown_as_it_is(run: Run, write_rows: Write) -> None:
    data = write_rows("d.jsonl", [{"question": "\x1b[31mred\x1b[0m", "answer": "a"}])
    assert "[INST] \x1b[31mred\x1b[0m[/INST]" in run("data", "preview", data, "--model", "tiny-mistral").out


def test_thoughts_make_every_row_one_of_a_model_that_reasons(run: Run, write_rows: Write) -> None:
    """As in training: where one row of DATA has a thought, an empty one is part of the other rows' answers."""
    data = write_rows("d.jsonl", [*pairs(2), {"question": "why", "answer": "<think>\nhm\n</think>\n\nso"}])
    view = ("data", "preview", data, "--model", "tiny-qwen")
    rows = with_places(data)
    assert run(*view).out == picture(rows, "tiny-qwen", thinking=True) == run(*view, "--thinking", "on").out
    assert run(*view, "--thinking", "off").out == picture(rows, "tiny-qwen")
    assert run(*view, "--rows", "1").out == picture(rows[:1], "tiny-qwen", thinking=True)


def test_standard_input_is_data(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = BY_NAME["pairs.jsonl"].read_bytes()

    def piped(*arguments: str | Path) -> str:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        done = run("data", *arguments)
        assert (done.code, done.err) == (0, "")
        return done.out

    assert piped("preview", "-", "--model", "tiny-qwen", "--order", "longest").count("<stdin>:") == 3
    assert "14 rows written" in piped("split", "-", "--out", tmp_path / "split")
    assert "14 rows of pairs" in piped("convert", "-", "--as", "alpaca", "--out", tmp_path / "c.csv")
    assert "14 rows written" in piped("mix", "--out", tmp_path / "m.jsonl", "--", "-=2")
    assert {row.capability for row in conversations(tmp_path / "m.jsonl")} == {"data"}


def test_columns_of_any_table(run: Run, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("Frage,Antwort,Nummer\nWas?,Das,1\nWer?,Der,2\n")
    columns = ("--columns", "input=Frage,output=Antwort")
    assert "⟦ Das</s>⟧" in run("data", "preview", table, "--model", "tiny-mistral", *columns).out
    assert run("data", "convert", table, "--as", "pairs", "--out", tmp_path / "c.jsonl", *columns).code == 0
    assert records(tmp_path / "c.jsonl") == [{"input": "Was?", "output": "Das"}, {"input": "Wer?", "output": "Der"}]
    split = ("data", "split", table, "--out", tmp_path / "s", "--val-split", "0", "--test-split", "0")
    assert run(*split, *columns).code == 0
    assert records(tmp_path / "s" / "train.jsonl") == records(tmp_path / "c.jsonl")
    assert run("data", "mix", table, "--out", tmp_path / "m.jsonl", *columns).code == 0
    assert [row.messages[1].content for row in conversations(tmp_path / "m.jsonl")] == ["Das", "Der"]


# ── convert ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def refusals(path: Path, target: str) -> list[str]:
    """Places of the rows that a format cannot say."""
    write = registry().get(DataFormat, target).write
    assert write is not None
    found = []
    for row in with_places(path):
        try:
            write(row)
        except DataError:
            found.append(row.source)
    return found


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("path", FORMATS, ids=name_of)
def test_every_format_becomes_every_other_and_back(run: Run, path: Path, target: str, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    done = run("data", "convert", path, "--as", target, "--out", out)
    refused = refusals(path, target)
    if refused:
        assert done.code == 2
        assert [line.removeprefix("Error: ").partition(": ")[0] for line in done.err.splitlines()][:20] == refused[:20]
        assert list(tmp_path.glob("*out*")) == []
        return
    assert (done.code, done.err) == (0, "")
    rows = conversations(path)
    assert format_of(out).name == target
    assert conversations(out) == rows
    back = run("data", "convert", out, "--as", format_of(path).name, "--out", tmp_path / "back.jsonl")
    assert back.code == 0
    assert conversations(tmp_path / "back.jsonl") == rows


def test_what_cannot_be_said_is_what_one_thinks() -> None:
    """Tools are refused, and documents everywhere; nothing else is."""
    found = {
        (path.name, target): len(refusals(path, target)) for path in FORMATS for target in TARGETS
        if path.stem not in ("text",)
    }  # fmt: skip
    assert found["openai.jsonl", "alpaca"] == found["sharegpt.jsonl", "alpaca"] == 2
    assert found["openai.jsonl", "pairs"] == found["sharegpt.jsonl", "pairs"] == 2
    assert not any(count for (_, target), count in found.items() if target in ("openai", "sharegpt"))
    assert not any(count for (name, _), count in found.items() if name == "pairs.jsonl")


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".tsv", ".parquet", ".jsonl.gz", ".json.zst"])
@pytest.mark.parametrize(("name", "target"), [("pairs", "alpaca"), ("pairs", "pairs"), ("openai", "sharegpt")])
def test_every_kind_of_file_is_written(run: Run, suffix: str, name: str, target: str, tmp_path: Path) -> None:
    path, out = BY_NAME[f"{name}.jsonl"], tmp_path / f"out{suffix}"
    done = run("data", "convert", path, "--as", target, "--out", out)
    if name == "openai" and suffix in (".csv", ".tsv"):  # a list of turns is no cell
        assert done.code == 2
        assert done.err == (
            f"Error: {path}:1: the field 'conversations' holds a list, and a table texts alone: write .jsonl instead\n"
        )
        assert list(tmp_path.glob("*out*")) == []
        return
    assert (done.code, done.err) == (0, "")
    assert conversations(out) == conversations(path)


def test_a_capability_and_what_is_trained_are_kept(run: Run, write_rows: Write, tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    silent = [*turns[:1], {**turns[1], "train": False}, {"role": "user", "content": "q2"}, turns[1]]
    data = write_rows("d.jsonl", [{"messages": turns, "capability": "sums"}, {"messages": silent}])
    for target in ("openai", "sharegpt"):
        out = tmp_path / f"{target}.jsonl"
        assert run("data", "convert", data, "--as", target, "--out", out).code == 0
        assert conversations(out) == conversations(data)
        assert [row.capability for row in conversations(out)] == ["sums", ""]
    refused = run("data", "convert", data, "--as", "alpaca", "--out", tmp_path / "alpaca.jsonl")
    assert refused.err == (
        f"Error: {data}:2: alpaca cannot say which turns are trained: write it as openai or sharegpt\n"
    )
    first = write_rows("first.jsonl", [{"messages": turns, "capability": "sums"}, {"messages": turns}])
    for suffix in ("csv", "parquet", "json"):
        out = tmp_path / f"first-out.{suffix}"
        assert run("data", "convert", first, "--as", "pairs", "--out", out).code == 0
        assert conversations(out) == conversations(first)


# ── split ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", [path for path in FORMATS if path.suffix == ".jsonl"], ids=name_of)
def test_records_are_written_as_they_are(run: Run, path: Path, tmp_path: Path) -> None:
    """With all their fields, in their order, each once."""
    assert run("data", "split", path, "--out", tmp_path / "s", "--val-split", "0.3", "--test-split", "0.3").code == 0
    whole = [json.dumps(record) for record in records(path)]
    for found in sides(tmp_path / "s").values():
        lines = [json.dumps(record) for record in found]
        assert lines == [line for line in whole if line in lines]
    assert sorted(where(tmp_path / "s")) == sorted(whole)


def test_shares_are_reported(run: Run, write_rows: Write, tmp_path: Path) -> None:
    data = write_rows("d.jsonl", pairs(500))
    done = run("data", "split", data, "--out", tmp_path / "s", "--val-split", "0.2")
    found = sides(tmp_path / "s")
    for name, share in (("train", 0.7), ("validation", 0.2), ("test", 0.1)):
        assert len(found[name]) == pytest.approx(500 * share, abs=40)
        assert re.search(rf"^{name} +{len(found[name])} +{len(found[name]) / 500:.1%}$", done.out, re.MULTILINE)
    assert done.out.endswith(f"\n500 rows written to {tmp_path / 's'}, split by a hash of each row's content\n")


@pytest.mark.parametrize("stratify", [False, True])
def test_growth_moves_no_row(run: Run, write_rows: Write, tmp_path: Path, stratify: bool) -> None:
    flags = ["--stratify"] * stratify
    rows = labelled(200)
    assert run("data", "split", write_rows("d.jsonl", rows), "--out", tmp_path / "s", *flags).code == 0
    before, rule = where(tmp_path / "s"), (tmp_path / "s" / "split.json").read_bytes()
    grown = write_rows("grown.jsonl", [row for two in zip(labelled(200, 200), rows, strict=True) for row in two])
    if stratify:  # elsewhere, by the rule that was kept
        (tmp_path / "elsewhere").mkdir()
        shutil.copy(tmp_path / "s" / "split.json", tmp_path / "elsewhere")
    for out in (tmp_path / "s", tmp_path / "elsewhere"):
        done = run("data", "split", grown, "--out", out)
        assert done.code == 0, done.err
        after = where(out)
        assert len(after) == 400
        assert {record: after[record] for record in before} == before
        assert ("by the thresholds that were there" in done.out) == (stratify or out.name == "s")
    assert (tmp_path / "s" / "split.json").read_bytes() == rule


def test_another_rule_for_the_same_folder_is_refused(run: Run, write_rows: Write, tmp_path: Path) -> None:
    data, out = write_rows("d.jsonl", labelled(100)), tmp_path / "s"
    assert run("data", "split", data, "--out", out, "--val-split", "0.2").code == 0
    before = where(out)
    refused = run("data", "split", data, "--out", out, "--val-split", "0.3", "--stratify")
    assert refused.code == 2
    assert "--val-split and --stratify would split it otherwise" in refused.err
    assert where(out) == before
    assert run("data", "split", data, "--out", out, "--val-split", "0.2").code == 0
    assert where(out) == before


def test_every_class_gets_its_shares_and_the_worst_is_reported(run: Run, write_rows: Write, tmp_path: Path) -> None:
    data = write_rows("d.jsonl", [*labelled(300), {"question": "once", "answer": "perhaps"}])
    done = run("data", "split", data, "--out", tmp_path / "s", "--stratify")
    assert done.code == 0
    found = {name: Counter(record["answer"] for record in rows) for name, rows in sides(tmp_path / "s").items()}
    assert (found["validation"]["no"], found["test"]["no"]) == (3, 3)
    assert (found["validation"]["yes"], found["test"]["yes"]) == (27, 27)
    assert re.search(r"^no +24 +3 +3 +30$", done.out, re.MULTILINE)
    assert re.search(r"furthest from what was asked: 10\.0% of class '(yes|no)' are in \w+ \(asked: 10%\)", done.out)
    grown = write_rows("d.jsonl", [*labelled(300), *labelled(40, 1000)])
    assert "furthest from what was asked" in run("data", "split", grown, "--out", tmp_path / "s").out
    other = run("data", "split", write_rows("o.jsonl", pairs(30)), "--out", tmp_path / "s")  # no class of the rule
    assert (other.code, other.err) == (0, "")
    assert "furthest" not in other.out


def test_equal_rows_stand_on_one_side(run: Run, write_rows: Write, tmp_path: Path) -> None:
    """In other case, with other spaces, with another answer."""
    rows = [
        {"question": words, "answer": f"answer {i} {n}"}
        for i in range(60)
        for n, words in enumerate((f"Is it {i}?", f"is  IT {i}?\n"))
    ]
    shares = ("--val-split", "0.3", "--test-split", "0.3")
    assert run("data", "split", write_rows("d.jsonl", rows), "--out", tmp_path / "s", *shares).code == 0
    asked = [
        {" ".join(record["question"].lower().split()) for record in found} for found in sides(tmp_path / "s").values()
    ]
    assert all(asked)
    assert sum(map(len, asked)) == len(set().union(*asked)) == 60


def test_classes_that_would_part_equal_rows_are_refused(run: Run, write_rows: Write, tmp_path: Path) -> None:
    rows = [{"question": f"q{i}", "answer": answer} for i in range(40) for answer in ("yes", "no")][: 40 + 9]
    refused = run("data", "split", write_rows("d.jsonl", rows), "--out", tmp_path / "s", "--stratify")
    assert refused.code == 2
    assert re.match(r"Error: \S+d\.jsonl:\d+: the same is asked in \w+, with an answer of another class", refused.err)
    assert not (tmp_path / "s").exists()


def test_a_folder_of_splits_is_taken_as_such(run: Run, write_rows: Write, tmp_path: Path) -> None:
    data, out = write_rows("d.jsonl", labelled(300)), tmp_path / "s"
    assert run("data", "split", data, "--out", out, "--stratify").code == 0

    def planned(*arguments: str | Path) -> dict[str, tuple[int, str]]:
        done = run("plan", *arguments, "--model", "tiny-mistral", "--json")
        assert done.code == 0, done.err
        return {split["name"]: (split["rows"], split["digest"]) for split in json.loads(done.out)["data"]["splits"]}

    by_folder = planned(out)
    assert {name: rows for name, (rows, _) in by_folder.items()} == {
        name: len(found) for name, found in sides(out).items()
    }
    assert planned(data, "--split-rule", out / "split.json") == by_folder
    assert planned(data) != by_folder


@pytest.mark.parametrize("shares", [("0", "0"), ("0", "0.3"), ("0.3", "0")])
def test_a_split_without_rows_has_no_file(run: Run, write_rows: Write, tmp_path: Path, shares: tuple[str, str]) -> None:
    """A folder that ``plan`` takes: an empty file would be refused."""
    data, out = write_rows("d.jsonl", pairs(60)), tmp_path / "s"
    assert run("data", "split", data, "--out", out, "--val-split", shares[0], "--test-split", shares[1]).code == 0
    wanted = ["train", *["validation"] * (shares[0] != "0"), *["test"] * (shares[1] != "0")]
    assert sorted(path.name for path in out.iterdir()) == sorted(["split.json", *(f"{name}.jsonl" for name in wanted)])
    planned = run("plan", out if len(wanted) > 1 else out / "train.jsonl", "--model", "tiny-mistral", "--json")
    assert planned.code == 0, planned.err


def test_a_split_that_lost_its_rows_loses_its_file(run: Run, write_rows: Write, tmp_path: Path) -> None:
    data, out = write_rows("d.jsonl", pairs(60)), tmp_path / "s"
    assert run("data", "split", data, "--out", out).code == 0
    kept = [record for name in ("train", "validation") for record in sides(out)[name]]
    assert run("data", "split", write_rows("d.jsonl", kept), "--out", out).code == 0
    assert sorted(path.name for path in out.iterdir()) == ["split.json", "train.jsonl", "validation.jsonl"]


# ── mix ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_weights(run: Run, write_rows: Write, tmp_path: Path) -> None:
    a, b = write_rows("a.jsonl", pairs(30)), write_rows("b.jsonl", alpaca_rows(30))
    done = run("data", "mix", f"{a}=2", f"{b}=1", "--out", tmp_path / "m.jsonl")
    rows = conversations(tmp_path / "m.jsonl")
    assert Counter(row.capability for row in rows) == {"a": 30, "b": 15}
    assert re.search(r"^a +30 +67%\nb +15 +33%$", done.out, re.MULTILINE)
    assert done.out.endswith(f"\n45 rows written to {tmp_path / 'm.jsonl'}\n")
    assert len(set(map(repr, rows))) == 45  # none twice
    for start in range(0, 45, 9):  # spread evenly
        assert Counter(row.capability for row in rows[start : start + 9]) == {"a": 6, "b": 3}
    again = run("data", "mix", f"{a}=2", f"{b}=1", "--out", tmp_path / "again.jsonl")
    other = run("data", "mix", f"{a}=2", f"{b}=1", "--out", tmp_path / "other.jsonl", "--seed", "1")
    assert again.code == other.code == 0
    assert records(tmp_path / "again.jsonl") == records(tmp_path / "m.jsonl") != records(tmp_path / "other.jsonl")


def test_rows_may_repeat(run: Run, write_rows: Write, tmp_path: Path) -> None:
    a, b = write_rows("a.jsonl", pairs(10)), write_rows("b.jsonl", alpaca_rows(10))
    assert run("data", "mix", f"{a}=3", b, "--rows", "100", "--out", tmp_path / "m.jsonl").code == 0
    times = Counter(map(repr, conversations(tmp_path / "m.jsonl")))
    assert sum(times.values()) == 100
    assert sorted(times.values()) == [2] * 5 + [3] * 5 + [7] * 5 + [8] * 5
    assert quotas([10, 10], [3, 1], 100) == [75, 25]


def test_capabilities(run: Run, write_rows: Write, tmp_path: Path) -> None:
    """A row's own goes before its file's; a mixture of mixtures keeps them."""
    own = write_rows("own.jsonl", [*({**row, "capability": "sums"} for row in pairs(4)), *pairs(4, 4)])
    (tmp_path / "skills").mkdir()
    write_rows("skills/x.jsonl", alpaca_rows(4))
    write_rows("skills/y.jsonl", alpaca_rows(8)[4:])
    assert run("data", "mix", own, tmp_path / "skills" / "*.jsonl", "--out", tmp_path / "m.jsonl").code == 0
    counted = {"sums": 4, "own": 4, "skills": 8}
    assert Counter(row.capability for row in conversations(tmp_path / "m.jsonl")) == counted
    assert run("data", "mix", tmp_path / "m.jsonl", "--out", tmp_path / "again.jsonl.gz").code == 0
    assert Counter(row.capability for row in conversations(tmp_path / "again.jsonl.gz")) == counted


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("a.jsonl", "a"), ("x/b.jsonl.gz", "b"), ("skills/*.jsonl", "skills"), ("x/colour-*.csv", "colour"),
        ("x/y/**/*.json", "y"), ("hf:owner/name@v1", "name"), ("-", "data"), (".", "data"), ("../x/", "x"),
        ("*", "data"),
    ],
)  # fmt: skip
def test_a_capability_is_named_after_its_data(data: str, name: str) -> None:
    assert capability_of(data) == name


def test_a_mixture_of_tools_texts_and_tables(run: Run, tmp_path: Path) -> None:
    """Formats and containers need not be the same."""
    table = BY_NAME["pairs.jsonl"].parents[1] / "containers" / "rows.parquet"
    out = tmp_path / "m.parquet"
    assert run("data", "mix", BY_NAME["openai.jsonl"], f"{table}=1", "--rows", "21", "--out", out).code == 0
    assert sum(row.uses_tools for row in conversations(out)) >= 1
    texts = (BY_NAME["text.jsonl"], tmp_path / "more.txt")
    texts[1].write_text("One text.\n\nAnother one.\n")
    assert run("data", "mix", *texts, "--rows", "10", "--out", tmp_path / "t.jsonl").code == 0
    assert all(row.is_document for row in conversations(tmp_path / "t.jsonl"))


def test_convert_names_the_fields_that_nobody_reads(
    run: Callable[..., Said], write_rows: Callable[[str, Sequence[Any]], Path], tmp_path: Path
) -> None:
    rows = [{"instruction": f"q {i}", "output": "a", "weird": "x"} for i in range(3)]
    said = run("data", "convert", write_rows("d.jsonl", rows), "--as", "openai", "--out", tmp_path / "o.jsonl")
    assert said.code == 0
    assert "not written, since alpaca does not read them: weird (3 rows)" in said.err


def test_a_package_that_is_not_there_is_one_sentence(
    run: Callable[..., Said], alpaca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [m for m in sys.modules if m.startswith(("graftlm.encoding", "graftlm.planning.prompted_model"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    said = run("data", "preview", alpaca, "--model", "tiny-qwen")
    assert said.code == 2
    assert "this needs tokenizers, which is not installed: pip install 'graftlm[data]'" in said.err
