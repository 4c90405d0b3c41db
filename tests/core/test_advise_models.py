"""``graftlm advise`` on models that are not built in, on prompts that do not fit, and on odd characters."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from string import ascii_lowercase
from typing import Any

import pytest
from conftest import ROOT, Said

from graftlm.judging import scoring
from graftlm.judging.advice import asking
from graftlm.testing.in_process import start_in_process

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


def asked(run: Run, *arguments: str | Path) -> dict[str, Any]:
    said = run("advise", *arguments, "--json")
    assert said.code == 0, said.err
    found: dict[str, Any] = json.loads(said.out)
    return found


def rows_of(prompt: Mapping[str, Any]) -> list[dict[str, Any]]:
    lines = (Path(prompt["folder"]) / "rows.jsonl").read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


def test_a_model_that_is_not_built_in_is_asked_for_the_marker(
    run: Run, workers: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model of one's own was never taught to write it, and needs room for its thoughts."""
    folder = tmp_path / "own-model"
    shutil.copytree(ROOT / "registry" / "graftlm_registry" / "builtin" / "tiny-mistral", folder)
    rows = [{"input": f"What is\n{a}+{a}", "output": str(2 * a)} for a in range(12)]
    data = split(tmp_path / "sums", train=rows[:9], validation=rows[9:])
    rooms: list[int] = []
    score = asking.score

    def watched(subject: Any, tasks: Any, *rest: Any) -> Any:
        rooms.extend(task.max_new_tokens for task in tasks if task.marker)
        return score(subject, tasks, *rest)

    monkeypatch.setattr(asking, "score", watched)
    found = asked(run, data, "--model", folder, "--shots", "1")
    cot = found["models"][0]["prompts"][-1]
    wanted = "Think step by step, and end with a line 'Answer: …' that holds the answer alone.\n\nWhat is\n"
    assert all(row["messages"][-2]["content"].startswith(wanted) for row in rows_of(cot))
    asked(run, data, "--model", folder, "--shots", "1", "--cot-tokens", "7", "--cot-prompt", "Now.")
    asked(run, data, "--model", "tiny-mistral", "--shots", "1")
    assert rooms[0] == 256
    assert rooms[1] == 7
    assert 64 < rooms[2] < 256


def test_room_for_thoughts_gives_way_where_the_model_is_short() -> None:
    """Not below what the longest answer asks for; and what was said is kept."""
    assert asking.room_for(asking.Room(76, 256), longest=100, positions=None) == 256
    assert asking.room_for(asking.Room(76, 256), longest=100, positions=300) == 200
    assert asking.room_for(asking.Room(76, 256), longest=100, positions=150) == 76
    assert asking.room_for(asking.Room(400, 400), longest=100, positions=300) == 400


def test_a_question_that_does_not_fit_is_told_with_its_place(run: Run, workers: list[str], tmp_path: Path) -> None:
    rows = [{"input": f"{word} one", "output": "left"} for word in words(7, 66)]
    rows[63]["input"] = "word " * 1200
    data = split(tmp_path / "long", train=rows[:60], validation=rows[60:])
    found = run("advise", data, "--model", "tiny-qwen", "--shots", "1")
    assert (found.code, found.out, workers) == (2, "", [])
    assert "no prompt fits: the bare question of" in found.err
    assert "validation.jsonl:4 takes " in found.err
    assert "it does not fit 1,024 positions" in found.err
    assert "--context-length" in found.err


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_line_ends_within_answers(run: Run, workers: list[str], tmp_path: Path, end: str) -> None:
    rows = [{"input": f"{word}{end}{word}", "output": f"a{end}b"} for word in words(7, 66)]
    data = split(tmp_path / "ends", train=rows[:60], validation=rows[60:])
    found = asked(run, data, "--model", "tiny-mistral", "--shots", "1", "--limit", "3")
    assert found["models"][0]["prompts"][0]["scores"][0]["n"] == 3


def test_help_names_the_marker(run: Run) -> None:
    assert "Answer:" in run("advise", "--help").out
