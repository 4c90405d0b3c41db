"""A row's split depends on its own words alone, and rows pass unchanged from the front to a worker."""

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

from graftlm.contracts.conversation import Conversation, Message, ToolCall
from graftlm.contracts.errors import DataError
from graftlm.contracts.plan import Split
from graftlm.contracts.specs import DataFormat
from graftlm.data import splitting
from graftlm.data.conversations import Reading, read, strict
from graftlm.data.inputs import find
from graftlm.data.rows import read_row, write_row
from graftlm.data.split_rule import read_rule, rule_json
from graftlm.data.splits import DataRequest, survey, write_splits
from graftlm.data.splitting import SplitName, SplitRule, class_of, fingerprint, normalised, split_at, stratified
from graftlm_registry.plugins import registry

quick = settings(
    max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
words = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


def formats() -> list[DataFormat]:
    return list(registry().all(DataFormat))


def question(text: str) -> Conversation:
    return Conversation((Message("user", text), Message("assistant", "an answer")))


def request(data: Path, *, val: float = 0.1, test: float = 0.1, **given_files: Path) -> DataRequest:
    files = {name: find(str(path), spool=path.parent) for name, path in given_files.items()}
    return DataRequest(
        data=find(str(data), spool=data.parent),
        rule=SplitRule(validation=val, test=test),
        **files,  # type: ignore[arg-type]
    )


def membership(conversation: Conversation, val: float, test: float) -> SplitName:
    return splitting.membership(conversation, SplitRule(validation=val, test=test))


def alpaca_row(text: str, output: str = "an answer") -> dict[str, str]:
    return {"instruction": text, "output": output}


def test_a_format_is_detected(write_rows: Callable[[str, Sequence[Any]], Path]) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    shapes = {
        "alpaca": {"instruction": "a", "output": "b"},
        "pairs": {"question": "a", "answer": "b"},
        "openai": {"messages": turns},
        "sharegpt": {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
    }
    for name, row in shapes.items():
        made = request(write_rows(f"{name}.jsonl", [row] * 30), val=0, test=0)
        found = survey(made, None, formats())
        assert found.format == name
        assert [(s.name, s.rows) for s in found.splits] == [("train", 30)]
        first = next(strict(read(made.data, Reading(registry().get(DataFormat, name)))))
        assert [m.content for m in first.messages] == ["a", "b"]


# ── rows between front and worker ────────────────────────────────────────────────────────────────────────────────────

conversations = st.builds(
    Conversation,
    st.lists(
        st.builds(
            Message,
            st.sampled_from(["system", "user", "assistant", "tool", "document"]),
            words,
            st.sampled_from([None, True, False]),
            st.lists(st.builds(ToolCall, words, st.dictionaries(words, words | st.integers()), words), max_size=2).map(
                tuple
            ),
            words,
            words,
        ),
        max_size=6,
    ).map(tuple),
    words,
    st.lists(st.dictionaries(words, words), max_size=2).map(tuple),
    words,
)


@quick
@given(conversations)
def test_a_row_reads_as_it_was_written(conversation: Conversation) -> None:
    line = write_row(conversation)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert read_row(line) == conversation


@quick
@given(st.lists(st.builds(lambda text, place: Conversation((Message("user", text),), place), words, words), max_size=8))
def test_rows_read_as_they_were_written_to_a_file(rows: list[Conversation]) -> None:
    """Also with separators that are line ends elsewhere (U+2028, U+0085, a lone CR)."""
    rows = [*rows, Conversation((Message("user", "a\u2028b\u2029c\x85d\re\x0bf\x0cg\x1ch\x00"),), "x:1")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        with path.open("wb") as file:
            file.writelines(map(write_row, rows))
        with path.open("rb") as file:
            assert [read_row(line) for line in file] == rows


# ── splits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def written(made: DataRequest, folder: Path) -> dict[str, list[str]]:
    """The questions of each split, as a worker will read them."""
    planned = survey(made, None, formats()).splits
    write_splits(made, registry().get(DataFormat, "alpaca"), planned, folder)
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
    splits = survey(request(path, val=val, test=test), None, formats()).splits
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
    with pytest.raises(DataError, match=rf"2 questions .*other\.jsonl:2 \({name}\)"):
        survey(request(data, val=0, test=0, **{flag: other}), None, formats())
    clean = write_rows("clean.jsonl", [alpaca_row("fresh"), alpaca_row("question number 70")])
    splits = survey(request(data, val=0, test=0, **{flag: clean}), None, formats()).splits
    assert {split.name: split.rows for split in splits} == {"train": 20, name: 2}


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
    splits = survey(made, None, formats()).splits
    assert {split.name: split.rows for split in splits} == {
        "train": 100 - len(kept),
        "validation": len(kept),
        "test": len(kept),
    }


def test_a_row_changes_the_digest_of_its_own_split_alone(write_rows: Callable[[str, Sequence[Any]], Path]) -> None:
    rows = [alpaca_row(f"question {i}") for i in range(100)]

    def digests(found: Sequence[dict[str, str]]) -> dict[str, str]:
        return {s.name: s.digest for s in survey(request(write_rows("d.jsonl", found)), None, formats()).splits}

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

    assert facts(survey(request(lined), None, formats()).splits) == facts(
        survey(request(listed), None, formats()).splits
    )


def test_files_that_change_after_the_survey(tmp_path: Path, write_rows: Callable[[str, Sequence[Any]], Path]) -> None:
    rows = [alpaca_row(f"question {i}") for i in range(50)]
    made = request(write_rows("d.jsonl", rows))
    data_format = registry().get(DataFormat, "alpaca")
    planned = survey(made, None, formats()).splits
    write_rows("d.jsonl", [alpaca_row("question 0", "another answer"), *rows[1:]])
    with pytest.raises(DataError, match=r"d\.jsonl changed"):
        write_splits(made, data_format, planned, tmp_path / "out")
    write_rows("d.jsonl", rows)
    write_splits(made, data_format, planned, tmp_path / "out")


def test_a_split_that_was_not_planned(tmp_path: Path, write_rows: Callable[[str, Sequence[Any]], Path]) -> None:
    """A new row that falls into a split which had none is a change too."""
    sides = {side: alpaca_row(text) for text in map(str, range(99)) if (side := membership(question(text), 0.1, 0.1))}
    made = request(write_rows("d.jsonl", [sides["train"]]))
    data_format = registry().get(DataFormat, "alpaca")
    planned = survey(made, None, formats()).splits
    write_rows("d.jsonl", [sides["train"], sides["test"]])
    with pytest.raises(DataError, match=r"d\.jsonl changed"):
        write_splits(made, data_format, planned, tmp_path / "out")


# ── thresholds by class ──────────────────────────────────────────────────────────────────────────────────────────────


def labelled(count: int, first: int = 0) -> list[tuple[int, str]]:
    """Fingerprints with classes: common, rare, and answers that stand once."""
    found = []
    for i in range(first, first + count):
        label = "common" if i % 10 else ("rare" if i % 20 else f"once {i}")
        found.append((fingerprint(question(f"question {i}")), label))
    return found


def test_every_class_has_its_shares() -> None:
    rows = labelled(600)
    rule = stratified(rows, 0.1, 0.2)
    assert set(rule.classes) == {"common", "rare"}
    for label in rule.classes:
        sides = [split_at(place, name, rule) for place, name in rows if name == label]
        assert sides.count("test") == round(len(sides) * 0.2)
        assert sides.count("validation") == round(len(sides) * 0.1)


def test_kept_thresholds_move_no_row_when_the_file_grows(tmp_path: Path) -> None:
    rule = stratified(labelled(300), 0.1, 0.2)
    path = tmp_path / "split.json"
    path.write_bytes(rule_json(rule))
    assert read_rule(path) == rule
    before = [split_at(place, label, rule) for place, label in labelled(300)]
    assert [split_at(place, label, read_rule(path)) for place, label in labelled(900)][:300] == before


@quick
@given(
    st.lists(st.tuples(st.integers(0, 2**64 - 1), st.sampled_from(["a", "b", "c", ""])), min_size=1, max_size=60),
    st.sampled_from([0.0, 0.1, 0.45]),
    st.sampled_from([0.0, 0.1, 0.45]),
)
def test_thresholds_are_shares_and_leave_something_to_train_on(
    rows: list[tuple[int, str]], val: float, test: float
) -> None:
    rule = stratified(rows, val, test)
    for label, (validation, tests) in rule.classes.items():
        assert tests == 0 if not test else True  # a share of nothing is nothing, also when the file grows
        assert validation == 0 if not val else True
        assert 0 <= tests <= tests + validation <= 1
        places = {place for place, name in rows if name == label}
        assert any(split_at(place, label, rule) == "train" for place in places)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "cannot be read"),
        ('{"validation": 0.1, "test": 0.1, "classes": {}}', "no split rule of version 1"),
        ('{"graftlm_split": 1, "validation": 0.9, "test": 0.2, "classes": {}}', "outside of 0 to 1"),
        ('{"graftlm_split": 1, "validation": "x", "test": 0.2}', "cannot be read"),
    ],
)
def test_a_rule_that_is_none(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=reason):
        read_rule(path)


def test_one_question_with_answers_of_two_classes_may_not_fall_on_both_sides(
    write_rows: Callable[[str, Sequence[Any]], Path],
) -> None:
    """Thresholds by class could part them: the survey sees it."""
    rows = [alpaca_row(f"question {i}", answer) for i in range(40) for answer in ("yes", "no")]
    made = request(write_rows("d.jsonl", rows))
    rule = SplitRule(validation=0.0, test=0.5, classes={"yes": (0.0, 0.9), "no": (0.0, 0.1)})
    with pytest.raises(DataError, match="trained on too"):
        survey(DataRequest(data=made.data, rule=rule), None, formats())


def test_long_answers_name_no_class() -> None:
    assert class_of(question("x")) == "an answer"
    assert class_of(Conversation((Message("user", "x"), Message("assistant", "long " * 30)))) == ""
