"""``graftlm advise``: what it says of real models on small data, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from string import ascii_lowercase
from typing import Any

import pytest
from conftest import Said

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import Interrupted
from graftlm.judging import scoring
from graftlm.planning.resolve import resolve
from graftlm.running.train import carry_out
from graftlm.testing.in_process import start_in_process
from graftlm_registry.plugins import registry

Run = Callable[..., Said]
Rows = list[dict[str, str]]


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The worker's jobs are carried out in this process, and counted."""
    started: list[str] = []

    def start(job: str, folder: Path, on_event: Any) -> Mapping[str, Any]:
        started.append(job)
        return start_in_process(job, folder, on_event)

    monkeypatch.setattr(scoring, "run_worker", start)
    return started


def split(folder: Path, **rows: Rows) -> Path:
    folder.mkdir(exist_ok=True)
    for name, part in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
    return folder


def words(seed: int, count: int, length: int = 3) -> list[str]:
    rng, found = Random(seed), dict[str, None]()
    while len(found) < count:
        found["".join(rng.choice(ascii_lowercase) for _ in range(length))] = None
    return list(found)


def shifted(word: str) -> str:
    return "".join(ascii_lowercase[(ascii_lowercase.index(c) + 1) % 26] for c in word)


@pytest.fixture
def shift(tmp_path: Path) -> Path:
    """A rule that the tiny models find from examples, as they were pre-trained to. The test rows cannot be read."""
    rows = [{"input": word, "output": shifted(word)} for word in words(5, 100)]
    return split(tmp_path / "shift", train=rows[:60], validation=rows[60:90], test=rows[90:])


def asked(run: Run, *arguments: str | Path) -> dict[str, Any]:
    said = run("advise", *arguments, "--json")
    assert said.code == 0, said.err
    found: dict[str, Any] = json.loads(said.out)
    return found


def test_what_examples_solve(run: Run, workers: list[str], shift: Path, home: Path) -> None:
    arguments = (shift, "--model", "tiny-mistral", "--shots", "1,4")
    found = asked(run, *arguments)
    (model,) = found["models"]
    prompts = {prompt["name"]: prompt for prompt in model["prompts"]}
    assert list(prompts) == [
        "zero-shot", "few-shot random 1", "few-shot random 4", "few-shot similar 1", "few-shot similar 4",
        "chain-of-thought",
    ]  # fmt: skip
    assert (model["recommendation"]["kind"], found["rows"]["asked"], found["rows"]["train"]) == ("prompt", 30, 60)
    assert prompts["zero-shot"]["scores"][0]["value"] < 0.3
    assert prompts["few-shot random 4"]["scores"][0]["value"] > 0.9
    assert model["gains_over_zero_shot"]["few-shot random 4"]["better"]
    assert not found["knowledge"]["shown"]
    for prompt in prompts.values():
        traced(prompt)
    four = rows_of(prompts["few-shot random 4"])
    assert [len(row["messages"]) for row in four] == [10] * 30
    train = [row["input"] for row in lines(shift / "train.jsonl")]
    assert {m["content"] for row in four for m in row["messages"][:-2] if m["role"] == "user"} <= set(train)
    held = {row["input"] for row in lines(shift / "validation.jsonl")}
    assert {row["messages"][-2]["content"] for row in four} == held
    unseen = {row["input"] for row in lines(shift / "test.jsonl")}
    kept = "".join(path.read_text() for path in (home / "cache" / "scores").glob("*/*.jsonl"))
    assert not [word for word in unseen if f'"{word}"' in kept]

    assert workers == ["score"]
    again = run("advise", *arguments)  # found again, and said in words
    assert workers == ["score"]
    assert "Prompting is" in again.out
    assert "1 random example" in again.out
    score = prompts["few-shot random 4"]["scores"][0]
    assert f"{score['value']:.0%} ({100 * score['low']:.0f}–{100 * score['high']:.0f})" in again.out
    assert Path(prompts["zero-shot"]["folder"]).name[:8] in again.out
    assert str(home / "cache" / "scores") in again.out

    dear = asked(run, *arguments, "--calls", "1000000")
    assert dear["models"][0]["recommendation"]["kind"] == "fine-tune"
    wanted = asked(run, *arguments, "--good-enough", "1", "--limit", "12")
    assert wanted["rows"]["asked"] == 12
    assert wanted["models"][0]["recommendation"]["figures"]["good_enough"] == 1


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def rows_of(prompt: Mapping[str, Any]) -> list[dict[str, Any]]:
    return lines(Path(prompt["folder"]) / "rows.jsonl")


def cut(prompt: Mapping[str, Any]) -> int:
    return sum(not answer["ended"] for answer in lines(Path(prompt["folder"]) / "answers.jsonl"))


def traced(prompt: Mapping[str, Any]) -> None:
    """Every figure follows from the files in its folder."""
    folder = Path(prompt["folder"])
    each = [sample["each"]["exact-match"] for sample in lines(folder / "exact-match.jsonl")]
    score = prompt["scores"][0]
    assert (score["value"], score["n"]) == (pytest.approx(sum(each) / len(each)), len(each))
    assert score["low"] <= score["value"] <= score["high"]
    answers = lines(folder / "answers.jsonl")
    assert prompt["prompt_tokens"] == pytest.approx(sum(a["prompt_tokens"] for a in answers) / len(answers))
    assert prompt["answer_tokens"] == pytest.approx(sum(a["tokens"] for a in answers) / len(answers))
    assert prompt["longest_prompt"] == max(a["prompt_tokens"] for a in answers)


def test_thinking_step_by_step(run: Run, workers: list[str], tmp_path: Path) -> None:
    """The tiny models work a sum out where they are told to, and are right."""
    rng = Random(3)
    sums = dict[str, str]()
    while len(sums) < 80:
        a, b, c = (rng.randint(0, 9) for _ in range(3))
        sums[f"What is\n{a}+{b}+{c}"] = str(a + b + c)
    rows = [{"input": question, "output": answer} for question, answer in sums.items()]
    data = split(tmp_path / "sums", train=rows[:60], validation=rows[60:])
    found = asked(run, data, "--model", "tiny-mistral", "--shots", "1")
    (model,) = found["models"]
    assert model["recommendation"]["prompt"] == "chain-of-thought"
    prompts = {prompt["name"]: prompt for prompt in model["prompts"]}
    assert prompts["chain-of-thought"]["scores"][0]["value"] > 0.8
    assert prompts["zero-shot"]["scores"][0]["value"] < 0.5
    assert all(
        "Think step by step. What is" in row["messages"][0]["content"] for row in rows_of(prompts["chain-of-thought"])
    )
    thought = prompts["chain-of-thought"]["answer_tokens"] - prompts["zero-shot"]["answer_tokens"]
    assert prompts["chain-of-thought"]["extra_tokens"] > thought > 5  # thoughts are paid for
    assert (prompts["chain-of-thought"]["unmarked"], prompts["chain-of-thought"]["note"]) == (False, "")
    flags = (data, "--model", "tiny-mistral", "--shots", "1", "--cot-prompt", "Now.", "--cot-tokens", "3")
    other = asked(run, *flags)
    cot = other["models"][0]["prompts"][-1]
    assert cot["scores"][0]["value"] < 0.5
    assert all(row["messages"][0]["content"].startswith("Now. What is") for row in rows_of(cot))
    assert cot["unmarked"]
    assert cot["note"] == (
        "no answer had the marker 'Answer:', so nothing was cut out; "
        f"{cut(cot)} of 20 answers ran out of tokens (--cot-tokens gives more)"
    )
    assert "chain-of-thought" not in other["models"][0]["gains_over_zero_shot"]
    text = " ".join(run("advise", *flags).out.split())
    assert "thinking step by step: no answer had the marker 'Answer:', so nothing was cut out" in text
    assert "Thinking step by step was not judged" in text


def test_knowledge_on_two_models_and_an_adapter(run: Run, workers: list[str], tmp_path: Path) -> None:
    """What it says of each, and that nothing is shown between them."""
    keys, codes = words(1, 100, 4), words(2, 100, 4)
    rows = [{"input": f"What is the code of {k}?", "output": c} for k, c in zip(keys, codes, strict=True)]
    data = split(tmp_path / "facts", train=rows[:80], validation=rows[80:])
    config = RunConfig(data=str(data), model="tiny-falcon", name="codes", max_steps=1, retention=False)
    carry_out(resolve(config, registry()), registry(), lambda event: None, start=start_in_process)
    models = ("--model", "tiny-falcon", "--model", "tiny-glm", "--shots", "2")
    found = asked(run, data, *models, "--adapter", "codes")
    assert [model["recommendation"]["kind"] for model in found["models"]] == ["retrieve", "retrieve"]
    assert [gap["better"] for gap in found["gaps"].values()] == [False]
    (adapter,) = found["adapters"]
    assert (adapter["adapter"], adapter["model"], adapter["other_data"]) == ("codes@1", "tiny-falcon", False)
    assert not adapter["gain"]["better"]
    assert adapter["gain"]["n"] == 20
    assert adapter["gain"]["low"] < 0 < adapter["gain"]["high"]
    traced(adapter["tried"])
    text = run("advise", data, *models, "--adapter", "codes").out
    assert text.count("This is knowledge: look it up") == 2
    assert "No model is shown to be better." in text
    assert "No difference between tuning and the best prompt is shown." in text
    alone = run("advise", data, "--adapter", "codes", "--shots", "2", "--limit", "5")
    assert (alone.code, "tiny-falcon" in alone.out) == (0, True)  # its base is asked


def test_prompts_that_do_not_fit_are_listed(
    run: Run, workers: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is cut."""
    monkeypatch.setenv("COLUMNS", "300")
    rows = [{"input": f"{word} " * 40, "output": ("left", "right")[i % 2]} for i, word in enumerate(words(7, 66))]
    data = split(tmp_path / "long", train=rows[:60], validation=rows[60:])
    found = asked(run, data, "--model", "tiny-qwen", "--shots", "1,16", "--limit", "3")
    prompts = {prompt["name"]: prompt for prompt in found["models"][0]["prompts"]}
    assert prompts["few-shot random 16"]["why_not"] == "does not fit 1,024 positions"
    assert (prompts["few-shot random 16"]["scores"], prompts["few-shot random 16"]["folder"]) == ([], None)
    assert prompts["few-shot random 16"]["longest_prompt"] > 1024
    assert prompts["few-shot balanced 2"]["of_each_class"] == 1
    assert "thinking" in prompts
    assert all(len(row["messages"]) == 4 for row in rows_of(prompts["few-shot balanced 1"]))
    text = run("advise", data, "--model", "tiny-qwen", "--shots", "1,16", "--limit", "3").out
    assert "does not fit 1,024 positions" in text
    assert "Only 3 rows were asked" in text


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "which model is advice wanted for? --model NAME"),
        (("--model", "tiny-mistrl"), "Did you mean"),
        (("--model", "tiny-mistral", "--shots", "2,x"), "--shots 2,x: numbers of examples with commas"),
        (("--model", "tiny-mistral", "--shots", "0"), "--shots 0: numbers"),
        (("--model", "tiny-mistral", "--shots", "100"), "--shots 100: there are 60 training rows"),
        (("--model", "tiny-mistral", "--limit", "0"), "--limit must be at least 1"),
        (("--model", "tiny-mistral", "--calls", "0"), "--calls must be at least 1"),
        (("--model", "tiny-mistral", "--cot-prompt", " "), "--cot-prompt is empty"),
        (("--model", "tiny-mistral", "--good-enough", "90"), "is a share, so say a number above 0, up to 1"),
        (("--model", "tiny-mistral", "--evaluator", "perplexity"), "say it with --good-enough X"),
        (("--adapter", "nobody"), "nobody"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    run: Run, workers: list[str], shift: Path, flags: Sequence[str], said: str
) -> None:
    found = run("advise", shift, *flags)
    assert (found.code, found.out) == (2, "")
    assert said in found.err
    assert len(found.err.splitlines()) == 1
    assert workers == []


def test_without_validation_rows(run: Run, workers: list[str], shift: Path) -> None:
    found = run("advise", shift / "train.jsonl", "--model", "tiny-mistral", "--val-split", "0")
    assert (found.code, workers) == (2, [])
    assert "there are no validation rows to ask: --val-split 0.2" in found.err


def test_stopped_it_says_that_it_goes_on(run: Run, shift: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(job: str, folder: Path, on_event: Any) -> Mapping[str, Any]:
        raise Interrupted("stopped by SIGINT")

    monkeypatch.setattr(scoring, "run_worker", stopped)
    found = run("advise", shift, "--model", "tiny-mistral")
    assert (found.code, found.out) == (130, "")
    assert "What was answered is kept, and the same command goes on" in found.err
