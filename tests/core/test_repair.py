"""``repair``: a second round for what was lost, with the new skill kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import StoreError, UsageError
from graftlm.planning.resolve import resolve
from graftlm.running import train
from graftlm.running.repair import repair_plan, repaired
from graftlm.testing.in_process import start_in_process
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry
from tests.conftest import ROOT, Said

Run = Callable[..., Said]
OLD = ROOT / "registry" / "graftlm_registry" / "demo_data" / "old-skills" / "train.jsonl"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "colours.jsonl"
    rows = ({"input": f"Thing {i}?", "output": ["red", "blue"][i % 2]} for i in range(80))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def forgetful(home: Path, data: Path) -> train.Trained:
    config = RunConfig(data=str(data), model="tiny-falcon", max_steps=12, learning_rate=0.03, rank=4, name="colours")
    return train.carry_out(resolve(config, registry()), registry(), lambda event: None, start=start_in_process)


def test_a_repair_is_the_next_version_of_the_same_with_the_skill_mixed_in(
    forgetful: train.Trained, run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        train.carry_out, "__kwdefaults__", {**(train.carry_out.__kwdefaults__ or {}), "start": start_in_process}
    )
    said = run("repair", "colours", "--skill", OLD, "--max-steps", "8", "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert (found["adapter"], found["parent"]) == ("colours@2", "colours@1")
    first, second = (open_store().get(f"colours@{number}") for number in (1, 2))
    assert second.parents == ("colours@1",)
    assert second.hyperparameters["rank"] == 4
    assert second.hyperparameters["steps"] == 8
    assert second.hyperparameters["learning_rate"] == pytest.approx(0.015)
    assert second.split_rows["train"] == 2 * first.split_rows["train"]
    skills = {(each["after"]["role"], each["after"]["evaluation"], each["after"]["metric"]) for each in found["skills"]}
    assert ("new", "colours", "exact-match") in skills
    assert ("old", "reverse", "exact-match") in skills
    for each in repaired(first, second):
        if each.change is not None:
            assert each.change.value == pytest.approx(each.after.value - each.parent.value)
            assert each.change.low is not None
            assert each.change.low <= each.change.value
    shown = run("repair", "colours@1", "--skill", OLD, "--max-steps", "1", "--as", "other")
    assert shown.code == 0, shown.err
    assert "kept as other@1" in shown.out
    assert "change from colours@1" in shown.out
    assert "other (new, unseen rows)" in shown.out


def test_half_as_many_steps_and_the_first_round_s_settings(forgetful: train.Trained, data: Path) -> None:
    plan = repair_plan(forgetful.record, str(OLD), registry())
    assert (plan.training.steps, plan.data.replayed, plan.name) == (6, plan.data.splits[0].rows // 2, "colours")
    by_epochs = repair_plan(forgetful.record, str(OLD), registry(), epochs=1.0, name="other")
    assert (by_epochs.training.steps, by_epochs.name) == (-(-by_epochs.data.splits[0].rows // 16), "other")


def test_other_rows_than_those_that_were_unseen_are_refused(
    forgetful: train.Trained, data: Path, tmp_path: Path
) -> None:
    moved = shutil.move(data, tmp_path / "moved.jsonl")
    plan = repair_plan(forgetful.record, str(OLD), registry(), data=str(moved))
    assert plan.data.split("test") is not None
    lines = Path(moved).read_text(encoding="utf-8").splitlines()
    Path(moved).write_text("\n".join(lines[:40]) + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match="are not those of colours@1"):
        repair_plan(forgetful.record, str(OLD), registry(), data=str(moved))


def test_without_its_plan_the_way_by_hand_is_said(forgetful: train.Trained) -> None:
    shutil.rmtree(forgetful.run)
    with pytest.raises(StoreError, match=r"graftlm train DATA --from-adapter colours@1 --replay SKILL"):
        repair_plan(forgetful.record, str(OLD), registry())


def test_the_first_round_s_evaluator_and_thoughts_are_the_second_s(home: Path, tmp_path: Path) -> None:
    path, function = tmp_path / "thoughts.jsonl", tmp_path / "fn.py"
    thought = "<think>\nhm\n</think>\n\n"
    rows = ({"input": f"Thing {i}?", "output": f"{thought}{['red', 'blue'][i % 2]}"} for i in range(40))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    function.write_text("def same(answer, reference):\n    return float(answer == reference)\n", encoding="utf-8")
    config = RunConfig(
        data=str(path), model="tiny-qwen", max_steps=1, thinking="off", evaluator="function", name="quiet",
        retention=False, options={"evaluator": {"function": f"{function}:same"}},
    )  # fmt: skip
    found = train.carry_out(resolve(config, registry()), registry(), lambda event: None, start=start_in_process)
    plan = repair_plan(found.record, str(OLD), registry(), retention=False)
    assert plan.encoding.thinking is False
    assert plan.options["evaluator"]["function"] == f"{function}:same"
    assert not plan.problems


def test_a_suite_that_changed_is_not_compared(home: Path, data: Path, tmp_path: Path) -> None:
    suite = tmp_path / "suite.jsonl"

    def trained(words: str, **said: object) -> train.Trained:
        lines = (json.dumps({"input": f"{words} {i}?", "output": "a", "capability": "quiz"}) + "\n" for i in range(6))
        suite.write_text("".join(lines), encoding="utf-8")
        config = RunConfig(
            data=str(data), model="tiny-falcon", max_steps=2, retention_suite=str(suite), learning_rate=0.02, **said
        )  # type: ignore[arg-type]
        return train.carry_out(resolve(config, registry()), registry(), lambda event: None, start=start_in_process)

    first, same, other = trained("One", name="one"), trained("One", name="two"), trained("Other", name="three")
    assert {each.after.evaluation for each in repaired(first.record, same.record)} >= {"quiz", "two"}
    assert "quiz" not in {each.after.evaluation for each in repaired(first.record, other.record)}
