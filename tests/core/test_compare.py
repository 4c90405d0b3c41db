"""``compare``: cells trained to their end, judged by what they learned and what it cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graftlm.comparing import rounds
from graftlm.comparing.learning_curves import forecast
from graftlm.comparing.model import Estimate, Learned
from graftlm.comparing.weighing import WEIGHTS, change_of_old, share_of_new, weights_of
from graftlm.contracts.errors import UsageError
from graftlm.running.repair import repair_plan
from graftlm.testing.in_process import start_in_process
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry
from tests.conftest import ROOT, Said

Run = Callable[..., Said]
SHORT = ("--max-steps", "4", "--learning-rate", "0.02")


@pytest.fixture
def compare(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Said]:
    """``graftlm compare``, its workers in this process, into ``tmp_path/results``."""
    monkeypatch.setattr(rounds.run_rounds, "__kwdefaults__", {"minutes": float("inf"), "start": start_in_process})
    return lambda *words: run("compare", *words, "--out", tmp_path / "results")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [
        {"input": f"{kind} {i}?", "output": answers[i % 2], "capability": kind}
        for kind, answers in (("colour", ("red", "blue")), ("taste", ("sweet", "sour")))
        for i in range(60)
    ]
    path = tmp_path / "two.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def judged(said: Said) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    assert said.code == 0, said.err
    report = json.loads(said.out)
    return report, report["judgement"]


def test_two_ranks_are_trained_once_scored_on_the_same_rows_and_kept(
    compare: Run, data: Path, home: Path, tmp_path: Path
) -> None:
    words = (data, "--model", "tiny-falcon", "--rank", "2", "--rank", "8", *SHORT, "--json")
    report, found = judged(compare(*words))
    assert {cell["name"] for cell in found["cells"]} == {"rank 2", "rank 8"}
    assert found["cells"][0]["score"] >= found["cells"][1]["score"]
    assert (found["cells"][0]["against_best"], found["cells"][1]["against_best"] is None) == (None, False)
    for cell in found["cells"]:
        record = open_store().get(cell["adapter"])
        assert f"rank {record.hyperparameters['rank']}" == cell["name"]
        assert cell["score"] == pytest.approx(
            sum(found["weights"][name] * part for name, part in cell["parts"].items())
        )
        new = [each for each in cell["learned"] if each["role"] == "new"]
        assert {each["evaluation"] for each in new} == {"colour", "taste"}
        for each in (e for e in cell["learned"] if e["metric"] == "exact-match"):
            name = f"{each['role']}.{each['evaluation']}.exact-match.after.jsonl"
            rows = [json.loads(line) for line in (tmp_path / "results" / cell["samples"] / name).open(encoding="utf-8")]
            assert sum(row["each"]["exact-match"] for row in rows) / len(rows) == pytest.approx(each["after"]["value"])
    for name in ("report.md", "report.html", "report.json"):
        assert (tmp_path / "results" / name).is_file()
    names = open_store().names()
    again, _ = judged(compare(*words))
    assert open_store().names() == names
    assert again["created"] == report["created"], "nothing is trained twice"
    old = ROOT / "registry" / "graftlm_registry" / "demo_data" / "old-skills" / "train.jsonl"
    plan = repair_plan(open_store().get(found["cells"][0]["adapter"]), str(old), registry())
    assert plan.data.replayed == plan.data.splits[0].rows // 2
    told = compare(*words[:-1], "--weigh", "size=1")
    assert (told.code, "rank 2 is the best by these weights (size 1)" in told.out) == (0, True), told.out


def test_all_capabilities_at_once_against_each(compare: Run, data: Path) -> None:
    _, found = judged(compare(data, "--model", "tiny-falcon", "--each-capability", *SHORT, "--json"))
    assert {cell["name"] for cell in found["cells"]} == {
        "capability all together", "capability colour", "capability taste",
    }  # fmt: skip
    for cell in found["cells"]:
        assert {each["evaluation"] for each in cell["learned"] if each["role"] == "new"} == {"colour", "taste"}


def test_sizes_give_a_curve(compare: Run, data: Path) -> None:
    _, found = judged(compare(data, "--model", "tiny-falcon", "--data-size", "20,40,80", *SHORT, "--json"))
    assert len(found["curves"]) == 2
    for curve in found["curves"]:
        assert [point["rows"] for point in curve["points"]] == [20, 40, 80]
        assert curve["doubled"]["low"] <= curve["doubled"]["value"] <= curve["doubled"]["high"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--model", "tiny-falcon"), "nothing is compared"),
        (("--model", "tiny-falcon", "--data-size", "many"), "is not a number of rows"),
        (("--model", "tiny-falcon", "--rank", "2", "--rank", "4", "--weigh", "nwe=1"), "unknown weight 'nwe'"),
        (("--model", "tiny-falcon", "--rank", "2", "--rank", "4", "--weigh", "new=0"), "nothing weighs anything"),
        (("--model", "a", "--model", "b", "--dry-run", "--json"), "leave --json out"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(words: tuple[str, ...], reason: str, compare: Run, data: Path) -> None:
    said = compare(data, *words)
    assert (said.code, reason in said.err) == (2, True), said.err


def learned(role: str, after: float, change: float = 0.0, **said: Any) -> Learned:
    given = {
        "metric": "m",
        "unit": "fraction",
        "higher_is_better": True,
        "n": 10,
        "evaluation": "e",
        "evaluator": "own",
        **said,
    }
    now = Estimate(value=after)
    return Learned(role=role, before=now, after=now, change=Estimate(value=change), **given)  # type: ignore[arg-type]


def test_weights_weigh_what_they_say() -> None:
    assert weights_of(()) == dict(WEIGHTS)
    assert weights_of(("new=2,speed=0.5",)) == {**dict.fromkeys(WEIGHTS, 0.0), "new": 2.0, "speed": 0.5}
    assert weights_of(("forgetting",))["forgetting"] == 1
    for wrong in ("new=x", "new=-1", "speed=nan"):
        with pytest.raises(UsageError, match="--weigh"):
            weights_of((wrong,))
    first = learned("new", 0.8)
    second = learned("new", 0.1, metric="second")
    assert share_of_new([first, second]) == 0.8, "the first metric of an evaluation"
    assert share_of_new([first, learned("new", 0.2, evaluation="f")]) == 0.5
    assert share_of_new([learned("new", 0.0, unit="nats per token", higher_is_better=False)]) == 1
    assert change_of_old([learned("old", 0.5, -0.4), learned("old", 1.0, 0.0, evaluation="f")]) == -0.2
    assert change_of_old([learned("old", 0.3, 0.3, higher_is_better=False)]) == 0


@settings(deadline=None, max_examples=20)
@given(st.floats(0.2, 0.9), st.floats(0.3, 1.2))
def test_a_law_that_holds_is_found_again(level: float, slope: float) -> None:
    sizes, rows = (50, 100, 200, 400), 2000
    errors = [level * (size / 50) ** -slope for size in sizes]
    values = [[float(i >= round(error * rows)) for i in range(rows)] for error in errors]
    found = forecast(sizes, values)
    assert found.value == pytest.approx(1 - level * 16**-slope, abs=0.02)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high


def test_no_gain_is_foretold_where_more_rows_brought_none() -> None:
    values = [[1.0, 1.0, 0.0, 0.0] * 25, [1.0, 0.0, 0.0, 0.0] * 25, [1.0, 1.0, 0.0, 0.0] * 25]
    assert forecast((10, 20, 40), values).value == pytest.approx(0.5)


def test_the_python_api_compares_too(home: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import graftlm

    monkeypatch.setattr(rounds.run_rounds, "__kwdefaults__", {"minutes": float("inf"), "start": start_in_process})
    said = {"model": "tiny-falcon", "max_steps": 2, "retention": False, "learning_rate": 0.02}
    report = graftlm.compare(data, out=tmp_path / "by-hand", rank=[2, 4], **said)
    assert report.judgement is not None
    assert {cell.name for cell in report.judgement.cells} == {"rank 2", "rank 4"}
    with pytest.raises(UsageError, match="unknown setting 'rnak'"):
        graftlm.compare(data, out=tmp_path / "by-hand", rnak=[2, 4], **said)


def test_more_rows_that_did_not_help_are_not_said_to_help() -> None:
    """A law that rises is no law: a forecast is then what the largest size has."""
    falling = [[float(i < right) for i in range(100)] for right in (80, 78, 75, 72)]
    found = forecast((50, 100, 200, 400), falling)
    assert (found.value, found.high is not None and found.high < 0.85) == (pytest.approx(0.72), True)
    flat = forecast((50, 100, 200, 400), [[float(i < right) for i in range(100)] for right in (70, 70, 71, 70)])
    assert flat.high is not None
    assert flat.high < 0.82


def test_cells_with_and_without_a_measurement_are_not_ranked_together(compare: Run, data: Path) -> None:
    words = (data, "--model", "tiny-falcon", *SHORT, "--retention", "--no-retention")
    said = compare(*words)
    assert (said.code, "cannot be ranked by it" in said.err) == (2, True)
    assert compare(*words, "--weigh", "new=1", "--dry-run").code == 0


def test_one_step_is_enough_to_be_judged(compare: Run, data: Path) -> None:
    words = ("--model", "tiny-falcon", "--rank", "2", "--rank", "4", "--learning-rate", "0.02", "--no-retention")
    _, found = judged(compare(data, *words, "--max-steps", "1", "--json"))
    assert len(found["cells"]) == 2


def test_nothing_to_score_is_no_failure(compare: Run, data: Path) -> None:
    words = ("--model", "tiny-falcon", "--rank", "2", "--rank", "4", "--no-retention", "--test-split", "0", "--json")
    report, found = judged(compare(data, *words, *SHORT, "--weigh", "size=1"))
    assert [cell["status"] for cell in report["cells"]] == ["finished", "finished"]
    assert [cell["name"] for cell in found["cells"]] == ["rank 2", "rank 4"]
    assert all(cell["learned"] == [] for cell in found["cells"])


def test_a_limit_is_told_and_a_ratio_without_replay_is_refused(compare: Run, data: Path) -> None:
    words = (data, "--model", "tiny-falcon", "--rank", "2", "--rank", "4", "--max-steps", "2")
    _, found = judged(compare(*words, "--learning-rate", "0.05", "--max-forgetting", "0", "--json"))
    beyond = {cell["name"] for cell in found["cells"] if cell["forgetting"]["value"] > 0}
    assert beyond
    for name in beyond:
        assert any(said.startswith(f"{name} forgot too much: ") for said in found["said"])
    refused = compare(*words, "--replay-ratio", "0.3")
    assert (refused.code, "--replay-ratio says how much is replayed" in refused.err) == (2, True), refused.err
