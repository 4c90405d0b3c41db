"""What a run forgot: measured by default, told, and judged where a limit is given."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import DataError, UsageError
from graftlm.contracts.outcome import Change
from graftlm.contracts.plan import Plan
from graftlm.planning.resolve import resolve
from graftlm.planning.retention import OWN, PROMPTS, TEXT
from graftlm.running.forgetting import Verdict, forgetting, lost
from graftlm.running.train import Trained, carry_out
from graftlm.testing.in_process import start_in_process
from graftlm_registry.models import catalogue
from graftlm_registry.plugins import registry
from tests.conftest import Said

Run = Callable[..., Said]


def lines(path: Path, rows: list[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return lines(
        tmp_path / "colours.jsonl", [{"input": f"Thing {i}?", "output": ["red", "blue"][i % 2]} for i in range(60)]
    )


def planned(data: Path, **said: Any) -> Plan:
    return resolve(RunConfig(**{"data": str(data), "model": "tiny-falcon", **said}), registry())


def change(**said: Any) -> Change:
    given = {"evaluation": TEXT, "role": "old", "metric": "loss", "value": 0.1, "n": 9, "unit": "nats per token"}
    return Change(**{**given, "higher_is_better": False, **said})


def test_a_built_in_model_is_asked_its_skills_and_reads_of_its_own_world(home: Path, data: Path) -> None:
    old = {each.name: each for each in planned(data).evaluations if each.role == "old"}
    assert old.keys() == {TEXT, *catalogue().entry("tiny-falcon").suites}
    assert old[TEXT].path.endswith("small-world.jsonl")
    assert old[TEXT].evaluators == ("perplexity",)
    assert old["reverse"].evaluators == ("exact-match", "taught-answers")


def test_any_other_model_reads_english_and_answers_unrelated_prompts(home: Path, data: Path, tmp_path: Path) -> None:
    import shutil

    folder = shutil.copytree(catalogue().entry("tiny-falcon").folder or "", tmp_path / "own")
    old = {each.name: each for each in planned(data, model=str(folder)).evaluations if each.role == "old"}
    assert {name: (Path(e.path).name, e.evaluators) for name, e in old.items()} == {
        TEXT: ("english.jsonl", ("perplexity",)), PROMPTS: ("prompts.jsonl", ("taught-answers",)),
    }  # fmt: skip


def test_a_suite_of_one_s_own_takes_the_place_of_the_shipped_one(home: Path, data: Path, tmp_path: Path) -> None:
    questions = lines(tmp_path / "asked.jsonl", [
        {"input": "a", "output": "b", "capability": "letters"}, {"input": "c", "output": "d"},
    ])  # fmt: skip
    plan = planned(data, retention_suite=str(questions))
    old = {each.name: each.rows for each in plan.evaluations if each.role == "old"}
    assert old == {TEXT: 48, "letters": 1, OWN: 1}
    texts = lines(tmp_path / "texts.jsonl", [{"text": "It rained all day."}, {"text": "Then it stopped."}])
    plan = planned(data, retention_suite=str(texts))
    old = {each.name: each.rows for each in plan.evaluations if each.role == "old"}
    assert old == {TEXT: 2, PROMPTS: 32}
    assert plan.hash != planned(data).hash
    with pytest.raises(DataError, match="the last turn must be the assistant"):
        planned(
            data,
            retention_suite=str(lines(tmp_path / "none.jsonl", [{"messages": [{"role": "user", "content": "?"}]}])),
        )


@pytest.mark.parametrize("said", [{"max_forgetting": 0.1}, {"retention_suite": "x.jsonl"}])
def test_a_limit_without_a_measurement_is_refused(said: Mapping[str, Any], home: Path, data: Path) -> None:
    with pytest.raises(UsageError, match="needs what --no-retention leaves out"):
        planned(data, retention=False, **said)


def test_a_verdict_says_whether_it_is_sure() -> None:
    for low, high, limit, passed, sure in (
        (0.05, 0.15, 0.2, True, True), (0.05, 0.15, 0.12, True, False), (0.05, 0.15, 0.08, False, False),
        (0.05, 0.15, 0.01, False, True), (None, None, 0.2, True, False),
    ):  # fmt: skip
        found = Verdict(limit, change(low=low, high=high))
        assert (found.passed, found.sure) == (passed, sure)
    unmeasured = Verdict(0.1, None)
    assert (unmeasured.passed, unmeasured.sure) == (False, False)
    assert "could not be measured" in unmeasured.said


def test_what_is_lost_is_worse_for_certain_and_the_most_comes_first() -> None:
    skill = {"metric": "exact-match", "unit": "fraction", "higher_is_better": True}
    changes = [
        change(low=0.05, high=0.2),
        change(**skill, evaluation="sum", value=-0.1, low=-0.2, high=-0.02),
        change(**skill, evaluation="reverse", value=-0.5, low=-0.6, high=-0.3),
        change(**skill, evaluation="repeat", value=-0.1, low=-0.3, high=0.1),
        change(**skill, evaluation="skill", role="new", value=-0.5, low=-0.6, high=-0.3),
        change(**{**skill, "higher_is_better": False}, evaluation="asked", value=0.3, low=0.1, high=0.5),
    ]
    assert [each.evaluation for each in lost(changes)] == ["reverse", "asked", "sum"]
    found = forgetting(changes)
    assert found is not None
    assert found.worse


@pytest.fixture
def trained(home: Path, data: Path) -> Trained:
    plan = planned(data, max_steps=12, learning_rate=0.02, name="skill", max_forgetting=0.0)
    return carry_out(plan, registry(), lambda event: None, start=start_in_process)


def test_a_run_tells_what_it_forgot_and_every_number_stands_in_its_samples(trained: Trained, run: Run) -> None:
    outcome = trained.outcome
    measured = {(c.role, c.evaluation, c.metric): c for c in outcome.changes}
    after = {(s.role, s.evaluation, s.metric): s for s in outcome.scores if s.moment == "after"}
    for score in (s for s in outcome.scores if s.moment == "before"):
        key = (score.role, score.evaluation, score.metric)
        assert measured[key].value == pytest.approx(after[key].value - score.value)
    for path in (trained.run / "samples").glob("*.exact-match.after.jsonl"):
        role, evaluation = path.name.split(".")[:2]
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        mean = sum(row["each"]["exact-match"] for row in rows) / len(rows)
        assert after[role, evaluation, "exact-match"].value == pytest.approx(mean)
        assert all(row["each"]["exact-match"] == (row["answer"] == row["reference"]) for row in rows)
    assert trained.record.changes == outcome.changes
    text = forgetting(outcome.changes)
    assert text is not None
    assert text.low is not None
    assert text.low < text.value < (text.high or 0)
    assert trained.verdict is not None
    assert trained.verdict.passed == (text.value <= 0)
    shown = run("adapters", "show", "skill")
    assert "forgetting: " in shown.out
    assert "nats a token on the retention text" in shown.out


def test_forgetting_too_much_is_an_exit_code_and_the_adapter_is_kept(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graftlm.running import train

    original = train.carry_out.__kwdefaults__
    monkeypatch.setattr(train.carry_out, "__kwdefaults__", {**original, "start": start_in_process})
    flags = ("--model", "tiny-falcon", "--max-steps", "12", "--learning-rate", "0.05", "--name", "bold")
    found = run("train", data, *flags, "--max-forgetting", "0")
    assert (found.code, "forgot too much: +" in found.out, "kept as bold@1" in found.out) == (1, True, True)
    told = json.loads(run("train", data, *flags, "--max-forgetting", "100", "--json").out)
    assert (told["adapter"], told["forgot_too_much"]) == ("bold@2", False)


def test_a_suite_that_is_trained_on_is_told(home: Path, tmp_path: Path) -> None:
    suite = catalogue().entry("tiny-falcon").suites["capitals"]
    data = tmp_path / "capitals.jsonl"
    data.write_bytes(suite.read_bytes())
    plan = planned(data, max_steps=1, learning_rate=0.01, name="known", test_split=0.2)
    events: list[Mapping[str, Any]] = []
    carry_out(plan, registry(), events.append, start=start_in_process)
    (said,) = [event["message"] for event in events if event["event"] == "warning"]
    assert (
        said
        == f"{plan.data.splits[0].rows} rows of capitals are trained on: what that suite says of forgetting is little"
    )


def test_a_limit_is_not_passed_over_where_nothing_was_measured(
    home: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evaluator of the retention text fails: the adapter is kept, and the verdict is no pass."""
    from graftlm_plugins.evaluators import perplexity

    monkeypatch.setattr(perplexity, "score", lambda context: 1 / 0)
    plan = planned(data, max_steps=1, learning_rate=0.01, name="blind", max_forgetting=1.0)
    found = carry_out(plan, registry(), lambda event: None, start=start_in_process)
    assert found.record.reference == "blind@1"
    assert found.verdict is not None
    assert not found.verdict.passed


def test_the_python_api_warns_of_what_was_forgotten(home: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import graftlm
    from graftlm.running import train

    monkeypatch.setattr(
        train.carry_out, "__kwdefaults__", {**(train.carry_out.__kwdefaults__ or {}), "start": start_in_process}
    )
    with pytest.warns(UserWarning, match="forgot too much: "):
        graftlm.train(data=data, model="tiny-falcon", max_steps=12, learning_rate=0.05, max_forgetting=0.0, name="bold")
    with pytest.raises(UsageError, match="unknown setting 'stpes'"):
        graftlm.repair("bold", skill=data, stpes=3)
