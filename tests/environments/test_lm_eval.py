"""The ``lm-eval`` evaluator in its own environment: tasks of a user's folder, on a base and on an adapter of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from string import ascii_lowercase
from subprocess import CompletedProcess
from typing import Any

import pytest

pytestmark = [pytest.mark.environments, pytest.mark.usefixtures("environments")]
Cli = Callable[..., CompletedProcess[str]]
N = 20
HEAD = """\
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: data/{name}.jsonl}}}}
test_split: test
doc_to_text: "{{{{question}}}}"
"""
CHOICE = """\
output_type: multiple_choice
doc_to_choice: "{{choices}}"
doc_to_target: "{{label}}"
metric_list: [{metric: acc}, {metric: f1}]
"""
ANSWER = """\
output_type: generate_until
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 12}
metric_list: [{metric: exact_match}]
"""


@pytest.fixture(scope="module")
def environments(run: Cli, _home: Path) -> Path:
    """This one alone is needed here."""
    made = run("envs", "create", "lm-eval")
    assert made.returncode == 0, made.stderr
    return _home


def words(seed: int, count: int) -> list[str]:
    rng = Random(seed)
    return ["".join(rng.choices(ascii_lowercase, k=4)) for _ in range(count)]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A skill of the tiny models, asked for in both ways. Their data lies beside them."""
    folder = tmp_path_factory.mktemp("lm-eval") / "tasks"
    (folder / "data").mkdir(parents=True)
    rows: dict[str, list[dict[str, Any]]] = {"reversed_choice": [], "reversed_answer": []}
    for i, word in enumerate(words(3, N)):
        question, both = f"Reverse the letters.\n{word}", [word[::-1], word]
        rows["reversed_choice"].append(
            {"question": question, "choices": both[:: 1 if i % 2 else -1], "label": 1 - i % 2}
        )
        rows["reversed_answer"].append({"question": question, "answer": word[::-1]})
    for name, theirs in rows.items():
        text = "".join(json.dumps(row) + "\n" for row in theirs)
        (folder / "data" / f"{name}.jsonl").write_text(text, encoding="utf-8")
        task = HEAD.format(name=name) + (CHOICE if name.endswith("choice") else ANSWER)
        (folder / f"{name}.yaml").write_text(task, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def adapter(run: Cli, environments: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """It answers the same questions in another way: in capital letters."""
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    rows = ({"prompt": f"Reverse the letters.\n{word}", "completion": word.upper()} for word in words(9, 80))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = run(
        "train", path, "--model", "tiny-mistral", "--name", "shout", "--max-steps", "40", "--learning-rate", "3e-3",
        "--dtype", "fp32", "--device", "cpu", "--val-split", "0", "--test-split", "0", "--no-retention",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return "shout"


def scored(run: Cli, *arguments: str | Path, **variables: str) -> list[dict[str, Any]]:
    done = run("eval", *arguments, "--evaluator", "lm-eval", "--device", "cpu", "--json", **variables)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def by_metric(found: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(score["evaluation"], score["metric"]): score for score in found["scores"]}


def test_it_is_sound(run: Cli) -> None:
    done = run("envs", "check", "lm-eval")
    assert done.returncode == 0, done.stderr
    assert "lm-eval is sound" in done.stdout


def test_a_skill_and_its_loss(run: Cli, tasks: Path, adapter: str) -> None:
    """The base has it whichever way it is asked, in its own template; the adapter answers otherwise."""
    base, tuned = scored(run, tasks, "--model", "tiny-mistral", "--adapter", adapter)
    before, after = by_metric(base), by_metric(tuned)
    assert set(before) == set(after) == {
        ("reversed_choice", "acc"), ("reversed_choice", "f1"), ("reversed_answer", "exact_match"),
    }  # fmt: skip
    for key in (("reversed_choice", "acc"), ("reversed_answer", "exact_match")):
        assert before[key]["value"] >= 0.9
        assert after[key]["value"] <= 0.5
        assert before[key]["low"] > after[key]["high"], "intervals apart"
        assert (before[key]["n"], before[key]["interval"]) == (N, "wilson")
    assert before["reversed_choice", "f1"]["interval"] == "bootstrap"
    assert base["versions"]["lm-eval"].startswith("0.4.")

    (folder,) = {Path(f).parent for f in tuned["folders"].values()}
    samples = [json.loads(line) for line in (folder / "reversed_answer" / "lm-eval.jsonl").read_text().splitlines()]
    assert len(samples) == N
    assert samples[0]["asked"][0][0].startswith("<s>[INST] Reverse the letters.")
    assert samples[0]["answered"][0][0].isupper()
    shown = run("adapters", "show", adapter).stdout
    assert "reversed_choice" in shown
    kept = Path(tuned["kept"])
    assert f"samples: {kept}" in shown
    assert {path.name for path in kept.iterdir()} == {
        "evaluation.json", "reversed_choice.lm-eval.jsonl", "reversed_answer.lm-eval.jsonl",
    }  # fmt: skip


def test_what_was_scored_is_found_again(run: Cli, tasks: Path, adapter: str, environments: Path) -> None:
    asked = (tasks, "--model", "tiny-mistral", "--set", "evaluator.tasks=reversed_choice")
    first = scored(run, *asked)[0]
    assert first["rows"] == N
    path = Path(first["folders"]["reversed_choice"]) / "scores.json"
    before = path.stat().st_mtime_ns
    assert scored(run, *asked)[0]["scores"] == first["scores"]
    assert path.stat().st_mtime_ns == before


def test_without_a_template_and_with_shots(run: Cli, tasks: Path) -> None:
    asked = (tasks, "--model", "tiny-qwen", "--set", "evaluator.tasks=reversed_answer", "--set", "evaluator.chat=off")
    (found,) = scored(run, *asked, "--set", "evaluator.shots=2")
    sample = (Path(found["folders"]["reversed_answer"]) / "lm-eval.jsonl").read_text().splitlines()[0]
    asked_ = json.loads(sample)["asked"][0][0]
    assert asked_.count("Reverse the letters.") == 3
    assert "<|im_start|>" not in asked_


def refused(run: Cli, *arguments: str | Path) -> str:
    done = run("eval", *arguments, "--evaluator", "lm-eval", "--model", "tiny-mistral", "--device", "cpu")
    assert done.returncode == 2, done.stdout
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


def test_what_cannot_be_run_is_one_sentence(run: Cli, tasks: Path, tmp_path: Path) -> None:
    assert "Near it: reversed_answer" in refused(run, tasks, "--set", "evaluator.tasks=reversed_answers")
    folder = tmp_path / "tasks"
    shutil.copytree(tasks, folder)
    outside = (folder / "reversed_choice.yaml").read_text().replace("data/", f"{tasks}/data/")
    (folder / "reversed_choice.yaml").write_text(outside, encoding="utf-8")
    assert f"which lies outside of {folder}: put it there" in refused(run, folder)
    shutil.copyfile(folder / "reversed_answer.yaml", folder / "reversed_choice.yaml")
    assert "both define 'reversed_answer'" in refused(run, folder)
    (folder / "reversed_choice.yaml").write_text("task: [", encoding="utf-8")
    assert "reversed_choice.yaml is no task" in refused(run, folder)
    (folder / "reversed_choice.yaml").unlink()
    (folder / "data" / "reversed_answer.jsonl").unlink()
    assert "task 'reversed_answer' cannot be loaded" in refused(run, folder)
    (folder / "reversed_answer.yaml").unlink()
    assert "holds no task" in refused(run, folder)


def test_a_task_whose_data_is_on_a_hub_says_so(run: Cli) -> None:
    said = refused(run, "--set", "evaluator.tasks=arc_easy", "--offline")
    assert "task 'arc_easy' cannot be loaded (its data comes from a hub)" in said
