"""What ``lm-eval`` makes of the harness's samples, and what it refuses. ``lm_eval_recorded.json`` holds what the
harness (0.4.13) logged of tiny-mistral on four questions a task, and the figures that it gave itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Said

from graftlm import intervals
from graftlm.contracts.specs import Evaluator
from graftlm_plugins.evaluators.lm_eval import plain, translated
from graftlm_registry.plugins import registry

Run = Callable[..., Said]
RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("lm_eval_recorded.json").read_text(encoding="utf-8"))


def mean(items: Sequence[float]) -> float:
    return sum(items) / len(items)


def f1(items: Sequence[Sequence[int]]) -> float:
    """Of the class 1, as the harness has it: pairs of what is right and what was said."""
    both = sum(1 for right, said in items if right and said)
    total = sum(right + said for right, said in items)
    return 2 * both / total if total else 0.0


def chrf(items: Sequence[Sequence[str]]) -> float:
    from sacrebleu import corpus_chrf

    return float(corpus_chrf([said for _, said in items], [[right for right, _ in items]]).score)


HARNESS = {"acc": mean, "exact_match": mean, "f1": f1, "chrf": chrf}


def of(task: str) -> tuple[dict[str, Any], Any]:
    recorded = RECORDED[task]
    metrics, result = translated(recorded["samples"], HARNESS, recorded["higher_is_better"])
    return {metric.name: metric for metric in metrics}, result


def test_the_values_are_those_of_the_harness() -> None:
    metrics, result = of("recorded_choice")
    assert result.values == pytest.approx({"acc": 0.75, "f1": 0.8})
    assert {f"{name},none": value for name, value in result.values.items()} == pytest.approx(
        RECORDED["recorded_choice"]["results"]
    )
    assert metrics["acc"].unit == metrics["f1"].unit == "fraction"
    metrics, result = of("recorded_answer")
    assert result.values == pytest.approx(RECORDED["recorded_answer"]["results"]), "with the filter's name"
    assert metrics["chrf,whole"].unit == "chrF"


def test_a_mean_has_a_number_for_each_question() -> None:
    _, result = of("recorded_choice")
    assert result.each == {"acc": [1.0, 1.0, 1.0, 0.0]}
    assert intervals.is_share(result.each["acc"])
    _, result = of("recorded_answer")
    assert set(result.each) == {"exact_match,whole", "exact_match,first-letter"}
    assert [len(values) for values in result.each.values()] == [4, 4]


def test_another_sum_is_made_anew_of_chosen_questions() -> None:
    _, result = of("recorded_choice")
    assert result.over([0, 1, 2, 3]) == pytest.approx({"f1": 0.8})
    assert result.over([3, 3, 0, 1]) == pytest.approx({"f1": 0.5})
    low, high = intervals.bootstrap(4, result.over)["f1"]
    assert low < 0.8 < high


def test_a_sample_tells_what_was_asked_and_answered() -> None:
    _, result = of("recorded_answer")
    assert [sample["question"] for sample in result.samples] == [0, 1, 2, 3]
    first = result.samples[0]
    assert first["asked"][0][0].startswith("[INST] Reverse the letters.\nabcd")
    assert first["answered"] == [["dcba"]]
    assert first["filtered"] == {"whole": ["dcba"], "first-letter": ["d"]}
    assert first["target"] == "dcba"


def test_a_metric_of_some_questions_alone_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Its number of questions would be another than the task's."""
    samples = [dict(sample) for sample in RECORDED["recorded_choice"]["samples"]]
    samples[2]["metrics"] = ["acc"]
    metrics, result = translated(samples, HARNESS, {})
    assert [metric.name for metric in metrics] == ["acc"]
    assert set(result.values) == {"acc"}
    assert "f1 is given for 3 of 4 questions: it is left out" in capsys.readouterr().out


def test_what_json_has_no_form_for() -> None:
    import numpy as np

    odd = {"a": np.float32(0.5), 1: (np.int64(2), None), "path": Path("x")}
    assert plain(odd) == {"a": 0.5, "1": [2, None], "path": "x"}
    json.dumps(plain(odd))


def test_its_environment_is_small_and_names_no_place() -> None:
    environment = registry().get(Evaluator, "lm-eval").environment
    assert environment is not None
    assert {line.partition(">")[0] for line in environment.requirements} == {
        "torch", "transformers", "peft", "accelerate", "lm-eval",
    }  # fmt: skip
    assert "://" not in " ".join((*environment.requirements, *environment.constraints))
    assert environment.variables["HF_HUB_DISABLE_TELEMETRY"] == "1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tasks"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ((), "evaluator lm-eval runs in an environment of its own, which is not made yet (run: graftlm envs create"),
        (("--evaluator", "lm-eval+exact-match"), "lm-eval brings tasks of its own and scores no rows"),
        (("--rows", "test"), "--rows is about rows, and lm-eval brings tasks of its own"),
        (("--val-split", "0.1"), "--val-split is about rows"),
        (("--set", "evaluator.shots=-1"), "shots"),
        (("--set", "evaluator.task=x"), "tasks"),
        (("--set", "evaluator.chat=maybe"), "chat"),
    ],
)
def test_what_it_refuses(run: Run, folder: Path, more: tuple[str, ...], words: str) -> None:
    said = run(
        "eval", folder, "--model", "tiny-mistral", *(() if "--evaluator" in more else ("--evaluator", "lm-eval")), *more
    )
    assert said.code == 2
    assert words in said.err
    assert "Traceback" not in said.err


def test_what_it_is_given(run: Run, alpaca: Path) -> None:
    usual = ("--evaluator", "lm-eval", "--model", "tiny-mistral")
    assert "takes a folder of tasks, and" in run("eval", alpaca, *usual).err
    nothing = run("eval", *usual)
    assert (nothing.code, "nothing to score: give a folder of tasks" in nothing.err) == (2, True)
    own = run("eval", *usual, "--set", "evaluator.tasks=arc_easy")
    assert "graftlm envs create lm-eval" in own.err


@pytest.mark.parametrize("command", ["plan", "train"])
def test_a_run_is_not_scored_by_it(run: Run, alpaca: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")  # a narrow table breaks the words up
    said = run(command, alpaca, "--model", "tiny-mistral", "--evaluator", "lm-eval")
    words = " ".join((said.out + said.err).split())
    assert "brings tasks of its own and scores no rows" in words
    assert "graftlm eval TASKS --evaluator lm-eval --adapter NAME" in words
    if command == "train":
        assert said.code == 2
