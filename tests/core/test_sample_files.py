"""The per-sample files, and what evaluators give: odd names, odd characters, odd numbers, rows that do not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftlm.api import EvaluationResult, Evaluator, Metric, RunError
from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import DataError
from graftlm.contracts.outcome import Score
from graftlm.data.samples import file_word, paired_change, read_samples, row_values, sample_file
from graftlm.planning.resolve import resolve
from graftlm.running.train import carry_out
from graftlm.testing.in_process import start_in_process
from graftlm_registry.plugins import registry
from tests.conftest import Said

Run = Callable[..., Said]
SHORT = {"model": "tiny-falcon", "max_steps": 1, "retention": False, "learning_rate": 0.02}


def rows(path: Path, found: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    return path


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_name_makes_a_part_of_a_file_s_name_of_its_own(one: str, other: str) -> None:
    word = file_word(one)
    assert len(word.encode()) <= 80
    assert not set(word) - set("abcdefghijklmnopqrstuvwxyz0123456789 _-")
    assert (word == file_word(other)) == (one == other)
    assert file_word(one.upper()).lower() != word or one.upper() == one


def test_names_that_begin_alike_have_files_of_their_own() -> None:
    assert not sample_file("new", "math.hard", "exact-match", "after").startswith("new.math.")
    assert sample_file("old", "upper-case", "exact-match", "before") == "old.upper-case.exact-match.before.jsonl"


def test_lines_end_at_new_lines_alone(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    said = [{"answer": f"a{end}b", "each": {"m": 1.0}} for end in ("\u2028", "\u2029", "\x85", "\r", "\n", "\x0b")]
    path.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in said), encoding="utf-8", newline="")
    assert list(read_samples(path)) == said
    assert row_values(read_samples(path), "m") == [1.0] * 6
    assert row_values(read_samples(path), "other") == ()


def score(value: float, **said: Any) -> Score:
    return Score(**{"evaluation": "e", "role": "new", "metric": "m", "moment": "after", "value": value, "n": 4, **said})


def test_a_change_is_paired_where_both_have_the_same_rows() -> None:
    found = paired_change(score(0.5), score(0.75), [0, 1, 0, 1], [1, 1, 0, 1])
    assert (found.value, found.interval, found.seed) == (0.25, "newcombe", None)
    assert found.low is not None
    assert found.low < 0.25 < (found.high or 0)
    graded = paired_change(score(0.5), score(0.75), [0.1, 0.2, 0.3, 0.4], [0.2, 0.2, 0.9, 0.4])
    assert (graded.interval, graded.seed) == ("bootstrap", 0)
    for was, now in (([], []), ([0.5], [0.75]), ([0.1, 0.2], [0.3])):
        assert paired_change(score(0.5), score(0.75), was, now).low is None


def measured(**said: Any) -> Any:
    from graftlm.worker.measured import Measured

    spec = Evaluator(name="own", summary="", metrics=(Metric(name="m", unit="", higher_is_better=True),), target="a:b")
    result = EvaluationResult(**{"values": {"m": 1.0}, "samples": ({}, {}), "each": {"m": [1.0, 1.0]}, **said})
    return Measured("rows", "new", spec, result, 2)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"values": {}}, "no finite number for m"),
        ({"values": {"m": float("nan")}}, "no finite number for m"),
        ({"samples": ({},)}, "1 samples for 2 rows"),
        ({"each": {"m": [1.0]}}, "1 numbers of m for 2 rows"),
        ({"each": {"m": [1.0, float("inf")]}}, "m of row 2 is inf"),
    ],
)
def test_what_an_evaluator_must_not_return_is_named(said: dict[str, Any], reason: str) -> None:
    with pytest.raises(RunError, match=f"evaluator own on rows: .*{reason}"):
        measured(**said).sound()
    assert measured().sound().scores("after")[0].value == 1.0


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return rows(tmp_path / "d.jsonl", [{"input": f"q {i}", "output": ["a", "b"][i % 2]} for i in range(60)])


def test_an_evaluator_that_fails_takes_no_adapter_with_it(home: Path, data: Path, tmp_path: Path) -> None:
    """What was trained for hours is worth more than a score."""
    (tmp_path / "fn.py").write_text("def nothing(answer, reference):\n    return float('nan')\n", encoding="utf-8")
    said = {"evaluator": "function+exact-match", "options": {"evaluator": {"function": f"{tmp_path}/fn.py:nothing"}}}
    events: list[Any] = []
    plan = resolve(RunConfig(data=str(data), name="kept", **SHORT, **said), registry())  # type: ignore[arg-type]
    found = carry_out(plan, registry(), events.append, start=start_in_process)
    assert found.record.reference == "kept@1"
    assert {each.evaluator for each in found.outcome.scores} == {"exact-match"}
    warned = [event["message"] for event in events if event["event"] == "warning"]
    assert len(warned) == 2
    assert all("is not scored by function" in each and "must be a finite number" in each for each in warned)


def test_an_edited_function_is_another_evaluator(run: Run, data: Path, tmp_path: Path, in_process: None) -> None:
    path = tmp_path / "fn.py"
    flags = ("--model", "tiny-falcon", "--evaluator", "function", "--set", f"evaluator.function={path}:fn", "--json")
    found = []
    for value in (1.0, 0.25):
        path.write_text(f"def fn(answer, reference):\n    return {value}\n", encoding="utf-8")
        found.append(json.loads(run("eval", data, *flags).out)[0]["scores"][0]["value"])
    assert found == [1.0, 0.25]


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    from graftlm.judging import scoring

    monkeypatch.setattr(scoring, "run_worker", start_in_process)


def test_rows_that_do_not_fit_are_wrong_and_have_no_loss(run: Run, tmp_path: Path, in_process: None) -> None:
    long = " ".join(f"w{i}" for i in range(2000))
    path = rows(tmp_path / "long.jsonl", [{"input": f"{long} {i}", "output": f"answer {i}"} for i in range(3)])
    flags = ("--model", "tiny-falcon", "--evaluator", "multiple-choice+exact-match", "--json")
    said = run("eval", path, *flags)
    assert said.code == 0, said.err
    assert {score["value"] for score in json.loads(said.out)[0]["scores"]} == {0.0}
    assert "3 of 3 rows of rows do not fit the model's positions" in said.err
    refused = run("eval", path, "--model", "tiny-falcon", "--evaluator", "perplexity")
    assert (refused.code, "no row fits the model's positions" in refused.err) == (1, True), refused.err
    rows(path, [{"input": long, "output": "a"}, {"input": "q", "output": "a"}])
    (found,) = json.loads(run("eval", path, "--model", "tiny-falcon", "--evaluator", "perplexity", "--json").out)
    alone = rows(tmp_path / "one.jsonl", [{"input": "q", "output": "a"}])
    (only,) = json.loads(run("eval", alone, "--model", "tiny-falcon", "--evaluator", "perplexity", "--json").out)
    assert found["scores"][0]["value"] == pytest.approx(only["scores"][0]["value"])
    assert only["scores"][0]["low"] is None, "one row tells nothing of others"


def test_torn_scores_are_made_again(run: Run, data: Path, home: Path, in_process: None) -> None:
    flags = (data, "--model", "tiny-falcon", "--json")
    first = json.loads(run("eval", *flags).out)[0]["scores"]
    (folder,) = (home / "cache" / "scores").iterdir()
    whole = (folder / "scores.json").read_bytes()
    (folder / "scores.json").write_bytes(whole[: len(whole) // 2])
    with (folder / "answers.jsonl").open("ab") as file:
        file.write(b"torn\n")
    assert json.loads(run("eval", *flags).out)[0]["scores"] == first


@pytest.mark.parametrize("name", ["other rows", "retention text", "unrelated prompts"])
def test_a_capability_is_not_called_as_graftlm_calls_its_own(name: str, home: Path, tmp_path: Path) -> None:
    path = rows(tmp_path / "d.jsonl", [{"input": f"q {i}", "output": "a", "capability": name} for i in range(30)])
    with pytest.raises(DataError, match="means something else to graftlm"):
        resolve(RunConfig(data=str(path), **SHORT), registry())  # type: ignore[arg-type]


def test_long_and_like_named_capabilities_are_trained_and_scored(home: Path, tmp_path: Path) -> None:
    names = ["𠀀" * 64, "Alpha", "alpha", "math", "math.hard"]
    found = [
        {"input": f"{n} {i}", "output": "a", "capability": name} for n, name in enumerate(names) for i in range(20)
    ]
    path = rows(tmp_path / "d.jsonl", found)
    plan = resolve(RunConfig(data=str(path), name="named", test_split=0.4, **SHORT), registry())  # type: ignore[arg-type]
    done = carry_out(plan, registry(), lambda event: None, start=start_in_process)
    scored = {each.evaluation: each.n for each in done.outcome.scores}
    assert scored.keys() == set(names)
    for name, count in scored.items():
        assert len(read_samples(done.run / "samples" / sample_file("new", name, "exact-match", "after"))) == count


def test_replayed_answers_are_not_what_was_taught(tmp_path: Path) -> None:
    from graftlm.contracts.conversation import Conversation, Message
    from graftlm.data.rows import write_row
    from graftlm.worker.evaluation import taught_answers

    (tmp_path / "data").mkdir()
    answers = ["new", "new", "once", "old", "old"]
    lines = (write_row(Conversation((Message("user", "?"), Message("assistant", answer)))) for answer in answers)
    (tmp_path / "data" / "train.jsonl").write_bytes(b"".join(lines))
    assert taught_answers(tmp_path, replayed=2) == {"new"}
    assert taught_answers(tmp_path) == {"new", "old"}


def test_a_resumed_evaluation_knows_what_it_may_take() -> None:
    """An answer that was cut shorter than is asked for now is given again; one that ended is not."""
    from graftlm.contracts.job import GivenAnswer
    from graftlm.worker.asking import Asking

    known = [
        GivenAnswer(row=0, text="a", tokens=3, ended=True, prompt_tokens=5),
        GivenAnswer(row=1, text="b", tokens=8, ended=False, prompt_tokens=5),
    ]
    encoding = SimpleNamespace(thinking=False)
    asked: list[tuple[list[int], int]] = []
    asking = Asking(SimpleNamespace(options={}, encoding=encoding), [None, None], known=known)  # type: ignore[arg-type,list-item]

    def answer(missing: list[int], room: int) -> None:
        asked.append((list(missing), room))
        asking._given |= dict.fromkeys(missing, known[0])

    asking._answer = answer  # type: ignore[assignment,method-assign]
    asking.generate(8)
    asking.generate(20)
    assert asked == [([], 8), ([1], 20)]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("1+2=3, 3+4=7. Answer: 7", "7"), ("So:\n**Answer:** law", "law"),
        ("answer: `law`\nBecause of the judge.", "law"),
        ("Answer: 1. No: Answer: 2", "2"), ("It is law.", "It is law."), ("Answer:", ""),
        ("ANSWER: It is red.", "It is red."),
    ],
)  # fmt: skip
def test_an_answer_stands_after_its_last_marker_on_one_line(said: str, answer: str) -> None:
    from graftlm.worker.asking import Asking

    asked = SimpleNamespace(options={}, encoding=SimpleNamespace(thinking=False))
    asking = Asking(asked, [], marker="Answer:")  # type: ignore[arg-type]
    assert asking._said(said) == answer
