"""Containers name the right line, and a row's split depends on its own words alone."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from graftlm.contracts.conversation import Conversation, Message
from graftlm.contracts.errors import DataError
from graftlm.contracts.plan import Split
from graftlm.contracts.specs import DataFormat
from graftlm.data.containers import read_records
from graftlm.data.conversations import read_conversations, read_row, write_row
from graftlm.data.splits import SplitRequest, survey, write_splits
from graftlm.data.splitting import membership, normalised
from graftlm_registry.plugins import registry

quick = settings(
    max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
words = st.text(max_size=20)
anything = st.text(st.characters(exclude_categories=()), max_size=20)
"""Lone surrogates too: JSON can hold them as escapes."""


def formats() -> list[DataFormat]:
    return list(registry().all(DataFormat))


def question(text: str) -> Conversation:
    return Conversation((Message("user", text), Message("assistant", "an answer")))


def request(data: Path, *, val: float = 0.1, test: float = 0.1, **given_files: Path) -> SplitRequest:
    files: dict[str, Path | None] = {"val_data": None, "test_data": None, **given_files}
    return SplitRequest(data=data, val_split=val, test_split=test, **files)


def alpaca_row(text: str, output: str = "an answer") -> dict[str, str]:
    return {"instruction": text, "output": output}


# ── containers ───────────────────────────────────────────────────────────────────────────────────────────────────────

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


@st.composite
def files(draw: st.DrawFn) -> tuple[list[str], list[int], str, bool, bool]:
    """Lines (some blank) that hold rows, the numbers of those that do, the line's end, whether a BOM leads, and
    whether the rows stand in a list.
    """
    listed = draw(st.booleans())
    lines = ["["] if listed else []
    places = []
    rows = draw(st.lists(st.tuples(words, words, st.booleans(), st.integers(0, 2)), min_size=1, max_size=12))
    for number, (text, output, escaped, blanks) in enumerate(rows, 1):
        lines += [""] * blanks
        row = json.dumps(alpaca_row(text, output), ensure_ascii=escaped)
        lines.append(row + ("," if listed and number < len(rows) else ""))
        places.append(len(lines))
    lines += ["]"] if listed else []
    return lines, places, draw(st.sampled_from(["\n", "\r\n"])), draw(st.booleans()), listed


def write(folder: Path, lines: Sequence[str], end: str, bom: bool, listed: bool) -> Path:
    path = folder / ("data.json" if listed else "data.jsonl")
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + "".join(line + end for line in lines).encode())
    return path


@quick
@given(files())
def test_every_record_has_its_line(made: tuple[list[str], list[int], str, bool, bool]) -> None:
    lines, places, end, bom, listed = made
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), lines, end, bom, listed)
        found = list(read_records(path))
    assert [source for _, source in found] == [f"{path}:{place}" for place in places]
    assert [record for record, _ in found] == [json.loads(lines[place - 1].rstrip(",")) for place in places]


@quick
@given(files(), st.sampled_from(DAMAGE), st.data())
def test_a_broken_line_is_named(
    made: tuple[list[str], list[int], str, bool, bool], damage: Callable[[str], str], data: st.DataObject
) -> None:
    """The rows before it come through; then the error names exactly that line."""
    lines, places, end, bom, listed = made
    victim = data.draw(st.integers(0, len(places) - 1))
    row = lines[places[victim] - 1]
    comma = "," if listed and victim < len(places) - 1 else ""
    lines[places[victim] - 1] = damage(row.removesuffix(comma)) + comma
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), lines, end, bom, listed)
        records = read_records(path)
        for place in places[:victim]:
            assert next(records)[1] == f"{path}:{place}"
        with pytest.raises(DataError) as caught:
            next(records)
    assert str(caught.value).startswith(f"{path}:{places[victim]}: ")


@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_a_list_in_any_layout(indent: int | str | None, tmp_path: Path) -> None:
    """A record's place is the line where it begins."""
    path = tmp_path / "data.json"
    rows = [alpaca_row(f"row {i}") for i in range(5)]
    path.write_text(json.dumps(rows, indent=indent), encoding="utf-8")
    found = list(read_records(path))
    assert [record for record, _ in found] == rows
    text = path.read_text(encoding="utf-8").splitlines()
    for i, (_, source) in enumerate(found):
        line = int(source.rpartition(":")[2])
        assert line == (1 if indent is None else 2 + 4 * i)
        assert "{" in text[line - 1]


def test_a_comma_that_lacks_is_looked_for_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_text('[\n{"a": 1}\n}\n\n\n, {"a": 2}\n]\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"data\.json:3: not valid JSON: expected ',' or ']'"):
        list(read_records(path))


@pytest.mark.parametrize("name", ["d.jsonl", "d.ndjson", "d.JSONL", "d.json"])
def test_lines_of_json_by_any_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text('\n{"a": 1}\n\n{"a": 2}', encoding="utf-8")
    assert [(record["a"], source) for record, source in read_records(path)] == [(1, f"{path}:2"), (2, f"{path}:4")]


def test_a_format_is_detected(tmp_path: Path, write_rows: Callable[[str, Sequence[Any]], Path]) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    shapes = {
        "alpaca": {"instruction": "a", "output": "b"},
        "pairs": {"question": "a", "answer": "b"},
        "openai": {"messages": turns},
        "sharegpt": {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
    }
    for name, row in shapes.items():
        path = write_rows(f"{name}.jsonl", [row] * 30)
        found, splits = survey(request(path, val=0, test=0), None, formats())
        assert found.name == name
        assert [(s.name, s.rows) for s in splits] == [("train", 30)]
        assert [m.content for m in next(read_conversations(path, found)).messages] == ["a", "b"]


# ── rows between front and worker ────────────────────────────────────────────────────────────────────────────────────

conversations = st.builds(
    Conversation,
    st.lists(
        st.builds(
            Message,
            st.sampled_from(["system", "user", "assistant"]),
            anything,
            st.sampled_from([None, True, False]),
        ),
        max_size=6,
    ).map(tuple),
    anything,
)


@quick
@given(conversations)
def test_a_row_reads_as_it_was_written(conversation: Conversation) -> None:
    line = write_row(conversation)
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert read_row(line) == conversation


@quick
@given(st.lists(st.builds(lambda text, place: Conversation((Message("user", text),), place), words, words), max_size=8))
def test_rows_read_as_they_were_written_to_a_file(rows: list[Conversation]) -> None:
    """Also with separators that are line ends elsewhere (U+2028, U+0085, a lone CR)."""
    rows = [*rows, Conversation((Message("user", "a\u2028b\u2029c\x85d\re\x0bf\x0cg\x1ch\x00"),), "x:1")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(map(write_row, rows))
        with path.open(encoding="utf-8") as file:
            assert [read_row(line) for line in file] == rows


# ── splits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def written(made: SplitRequest, folder: Path) -> dict[str, list[str]]:
    """The questions of each split, as a worker will read them."""
    data_format, planned = survey(made, None, formats())
    write_splits(made, data_format, planned, folder)
    found = {}
    for name in ("train", "validation", "test"):
        with (folder / f"{name}.jsonl").open(encoding="utf-8") as file:
            found[name] = [read_row(line).messages[0].content for line in file]
    for split in planned:
        assert len(found[split.name]) == split.rows
    return found


def sides(splits: dict[str, list[str]]) -> dict[str, str]:
    return {text: name for name, texts in splits.items() for text in texts}


def test_growth_and_order_move_no_row(tmp_path: Path, write_rows: Callable[[str, Sequence[Any]], Path]) -> None:
    rows = [alpaca_row(f"question {i}") for i in range(400)]
    before = sides(written(request(write_rows("some.jsonl", rows[:200])), tmp_path / "some"))
    grown = list(rows)
    random.Random(0).shuffle(grown)
    after = sides(written(request(write_rows("grown.jsonl", grown)), tmp_path / "grown"))
    assert len(before) == 200
    assert set(before.values()) == {"train", "validation", "test"}
    assert len(after) == 400
    assert {text: after[text] for text in before} == before


def test_an_answer_does_not_decide(tmp_path: Path, write_rows: Callable[[str, Sequence[Any]], Path]) -> None:
    """Two answers to one question stand on one side."""
    rows = [alpaca_row(f"question {i}", answer) for i in range(100) for answer in ("one", "another")]
    found = written(request(write_rows("d.jsonl", rows)), tmp_path / "out")
    assert sum(map(len, found.values())) == 200
    assert sum(len(set(texts)) for texts in found.values()) == 100


@pytest.mark.parametrize(("val", "test"), [(0.1, 0.1), (0.25, 0.15), (0.0, 0.5), (0.5, 0.0), (0.0, 0.0)])
def test_shares(val: float, test: float, write_rows: Callable[[str, Sequence[Any]], Path]) -> None:
    """Within four standard deviations on 2,000 rows; a share of nothing is nothing."""
    path = write_rows("d.jsonl", [alpaca_row(f"question {i}") for i in range(2000)])
    _, splits = survey(request(path, val=val, test=test), None, formats())
    rows = {split.name: split.rows for split in splits}
    for name, share in (("validation", val), ("test", test), ("train", 1 - val - test)):
        assert abs(rows.get(name, 0) - 2000 * share) <= 4 * (2000 * share * (1 - share)) ** 0.5, name
    assert sum(rows.values()) == 2000
    assert all(rows.values())


@quick
@given(st.lists(st.text("abcXYZ .?é漢", min_size=1), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_case_and_white_space_make_no_other_question(parts: list[str], rng: random.Random) -> None:
    assume(any(part.strip() for part in parts))
    spaces = [" ", "  ", "\n", "\t ", "\r\n", "\u00a0", "\u2003"]
    plain = " ".join(part for part in parts if part.strip())
    dressed = "".join(rng.choice([c.upper(), c.lower()]) for c in plain)
    dressed = "".join(rng.choice(spaces) if c.isspace() else c for c in dressed)
    dressed = rng.choice(spaces) + dressed + rng.choice(spaces)
    assert normalised(question(dressed)) == normalised(question(plain))
    for val, test in ((0.1, 0.1), (0.5, 0.5), (0.3, 0.0)):
        assert membership(question(dressed), val, test) == membership(question(plain), val, test)


def test_case_variants_in_a_file_fall_on_one_side(
    tmp_path: Path, write_rows: Callable[[str, Sequence[Any]], Path]
) -> None:
    variants = (str, str.upper, str.title, lambda text: f"  {text}\n", lambda text: text.replace(" ", "\t"))
    rows = [alpaca_row(variant(f"what is number {i}")) for i in range(100) for variant in variants]
    found = written(request(write_rows("d.jsonl", rows), val=0.3, test=0.3), tmp_path / "out")
    by_side = [{" ".join(text.lower().split()) for text in texts} for texts in found.values()]
    assert all(by_side)
    assert sum(map(len, by_side)) == len(set().union(*by_side)) == 100


@pytest.mark.parametrize(("flag", "name"), [("val_data", "validation"), ("test_data", "test")])
def test_leakage_is_refused_with_its_place(
    flag: str, name: str, write_rows: Callable[[str, Sequence[Any]], Path]
) -> None:
    """A row of DATA in other case, and with another answer, is still the same question."""
    data = write_rows("d.jsonl", [alpaca_row(f"question number {i}") for i in range(20)])
    other = write_rows(
        "other.jsonl",
        [alpaca_row("fresh"), alpaca_row("QUESTION  number 7", "an other"), alpaca_row("question number 8")],
    )
    with pytest.raises(DataError, match=rf"2 rows .*other\.jsonl:2 \({name}\)"):
        survey(request(data, val=0, test=0, **{flag: other}), None, formats())
    clean = write_rows("clean.jsonl", [alpaca_row("fresh"), alpaca_row("question number 70")])
    _, splits = survey(request(data, val=0, test=0, **{flag: clean}), None, formats())
    assert {split.name: (split.rows, Path(split.path).name) for split in splits} == {
        "train": (20, "d.jsonl"),
        name: (2, "clean.jsonl"),
    }


def test_leakage_by_the_command_line(
    run: Callable[..., Any], alpaca: Path, write_rows: Callable[[str, Sequence[Any]], Path]
) -> None:
    first = json.loads(alpaca.read_text(encoding="utf-8").splitlines()[0])
    other = write_rows("other.jsonl", [alpaca_row("fresh"), first])
    arguments = ("plan", alpaca, "--model", "tiny-mistral", "--test-split", "0", "--val-data", other)
    said = run(*arguments)
    assert said.code == 2
    assert f"{other}:2 (validation)" in said.err
    assert "trained on" in said.err


def test_rows_that_are_not_trained_on_leak_nothing(write_rows: Callable[[str, Sequence[Any]], Path]) -> None:
    """What DATA keeps for the test may stand in the validation file: nobody trains on it."""
    rows = [alpaca_row(f"question {i}") for i in range(100)]
    kept = [row for row in rows if membership(question(row["instruction"]), 0, 0.3) == "test"]
    assert kept
    made = request(write_rows("d.jsonl", rows), val=0, test=0.3, val_data=write_rows("val.jsonl", kept))
    _, splits = survey(made, None, formats())
    assert {split.name: split.rows for split in splits} == {
        "train": 100 - len(kept),
        "validation": len(kept),
        "test": len(kept),
    }


def test_a_row_changes_the_digest_of_its_own_split_alone(write_rows: Callable[[str, Sequence[Any]], Path]) -> None:
    rows = [alpaca_row(f"question {i}") for i in range(100)]

    def digests(found: Sequence[dict[str, str]]) -> dict[str, str]:
        return {s.name: s.digest for s in survey(request(write_rows("d.jsonl", found)), None, formats())[1]}

    before = digests(rows)
    for i in range(100, 130):
        side = membership(question(f"question {i}"), 0.1, 0.1)
        after = digests([*rows, alpaca_row(f"question {i}")])
        assert {name for name in before if before[name] != after[name]} == {side}


def test_a_digest_is_of_content_not_of_places(tmp_path: Path, write_rows: Callable[[str, Sequence[Any]], Path]) -> None:
    rows = [alpaca_row(f"question {i}") for i in range(50)]
    lined = write_rows("d.jsonl", rows)
    listed = tmp_path / "d.json"
    listed.write_text(json.dumps(rows, indent=1), encoding="utf-8")

    def facts(splits: Sequence[Split]) -> list[tuple[str, int, str]]:
        return [(s.name, s.rows, s.digest) for s in splits]

    assert facts(survey(request(lined), None, formats())[1]) == facts(survey(request(listed), None, formats())[1])


def test_files_that_change_after_the_survey(tmp_path: Path, write_rows: Callable[[str, Sequence[Any]], Path]) -> None:
    rows = [alpaca_row(f"question {i}") for i in range(50)]
    made = request(write_rows("d.jsonl", rows))
    data_format, planned = survey(made, None, formats())
    write_rows("d.jsonl", [alpaca_row("question 0", "another answer"), *rows[1:]])
    with pytest.raises(DataError, match=r"d\.jsonl changed"):
        write_splits(made, data_format, planned, tmp_path / "out")
    write_rows("d.jsonl", rows)
    write_splits(made, data_format, planned, tmp_path / "out")


def test_a_split_that_was_not_planned(tmp_path: Path, write_rows: Callable[[str, Sequence[Any]], Path]) -> None:
    """A new row that falls into a split which had none is a change too."""
    sides = {side: alpaca_row(text) for text in map(str, range(99)) if (side := membership(question(text), 0.1, 0.1))}
    made = request(write_rows("d.jsonl", [sides["train"]]))
    data_format, planned = survey(made, None, formats())
    write_rows("d.jsonl", [sides["train"], sides["test"]])
    with pytest.raises(DataError, match=r"d\.jsonl changed"):
        write_splits(made, data_format, planned, tmp_path / "out")
