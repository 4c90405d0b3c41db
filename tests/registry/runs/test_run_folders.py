"""What was cut short in the folders of runs is taken away, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from graftlm_registry.runs import make_run
from graftlm_registry.runs.folder import DAY, WORK, runs_folder


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFTLM_HOME", str(tmp_path / "home"))


def run_with(name: str, *files: str) -> Path:
    folder = runs_folder() / name
    for work in WORK:
        (folder / work).mkdir(parents=True)
        (folder / work / "file").write_text("x", encoding="utf-8")
    for file in (*files, "events.jsonl"):
        (folder / file).write_text("{}", encoding="utf-8")
    return folder


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_finished_run_keeps_no_work_that_a_killed_supervisor_left() -> None:
    finished = run_with("finished", "plan.json", "outcome.json")
    unfinished = run_with("unfinished", "plan.json")
    make_run()
    assert left(finished) == ["events.jsonl", "outcome.json", "plan.json"]
    assert left(unfinished) == sorted((*WORK, "events.jsonl", "plan.json"))


def test_what_never_began_goes_after_a_day() -> None:
    old, young = run_with("old"), run_with("young")
    then = time.time() - 2 * DAY
    os.utime(old, (then, then))
    make_run()
    assert not old.exists()
    assert young.is_dir()
