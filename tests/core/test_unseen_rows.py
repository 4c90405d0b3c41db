"""Test rows are counted and hashed, and not looked at again before training is over: a watch on every file opened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

WATCH = """
import json, os, sys, time
LOG, WATCHED = os.environ["OPENED"], os.environ["WATCHED"]
busy = False
def watch(event, arguments):
    global busy
    if event == "open" and not busy and WATCHED in str(arguments[0]):
        busy = True
        with open(LOG, "a") as file:
            mode = arguments[1] or ("w" if arguments[2] & (os.O_WRONLY | os.O_RDWR) else "r")
            said = {"time": time.time(), "path": str(arguments[0]), "mode": mode, "argv": sys.orig_argv[1:4]}
            file.write(json.dumps(said) + "\\n")
        busy = False
sys.addaudithook(watch)
"""
"""``sitecustomize``: every Python process says which files it opens."""


@dataclass(frozen=True)
class Opened:
    time: float
    path: str
    mode: str
    argv: tuple[str, ...]

    @property
    def by_worker(self) -> bool:
        return "graftlm.worker" in self.argv


@dataclass(frozen=True)
class Watched:
    """Runs the command line in processes of its own, and tells who opened test rows."""

    folder: Path
    data: Path

    def run(self, *arguments: str) -> list[Opened]:
        log = self.folder / "opened.jsonl"
        log.unlink(missing_ok=True)
        paths = os.pathsep.join(filter(None, (str(self.folder / "site"), os.environ.get("PYTHONPATH"))))
        subprocess.run(
            [sys.executable, "-m", "graftlm", *arguments],
            env={**os.environ, "PYTHONPATH": paths, "OPENED": str(log), "WATCHED": "test.jsonl"},
            check=True, capture_output=True,
        )  # fmt: skip
        lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
        return [Opened(**{**said, "argv": tuple(said["argv"])}) for said in map(json.loads, lines)]


@pytest.fixture
def watched(home: Path, tmp_path: Path) -> Watched:
    site, data = tmp_path / "site", tmp_path / "data"
    site.mkdir()
    data.mkdir()
    (site / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    for split, begin, rows in (("train", 0, 40), ("validation", 100, 8), ("test", 200, 8)):
        lines = (json.dumps({"input": f"word {begin + i}", "output": "ab"[i % 2]}) + "\n" for i in range(rows))
        (data / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    return Watched(tmp_path, data)


def test_training_reads_no_test_row_before_its_last_step(watched: Watched, home: Path) -> None:
    opened = watched.run(
        "train", str(watched.data), "--model", "tiny-falcon", "--max-steps", "2", "--name", "skill",
        "--learning-rate", "0.01",
    )  # fmt: skip
    (run,) = (home / "runs").iterdir()
    events = [json.loads(line) for line in (run / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    last = max(event["time"] for event in events if event["event"] == "metric")
    asked = [each for each in opened if each.by_worker and "r" in each.mode]
    assert asked, "the final evaluation reads them"
    assert min(each.time for each in asked) >= last - 0.001  # the event's time is rounded
    first_scored = next(e["time"] for e in events if e["event"] == "progress" and e["stage"].startswith("score "))
    front = [each for each in opened if not each.by_worker and "r" in each.mode]
    began = next(event["time"] for event in events if event["event"] == "hello")
    assert front, "they are counted and hashed once"
    assert max(each.time for each in front) < began < first_scored


@pytest.mark.parametrize("command", ["advise", "gap"])
def test_what_comes_before_training_never_opens_test_rows_but_to_hash_them(command: str, watched: Watched) -> None:
    opened = watched.run(command, str(watched.data), "--model", "tiny-falcon")
    assert not [each for each in opened if each.by_worker]
    read = [each for each in opened if "r" in each.mode and ".rows." not in each.path]  # what is written is synced
    assert {Path(each.path).parent for each in read} <= {watched.data}, "kept rows of the test are written, never read"
    again = watched.run(command, str(watched.data), "--model", "tiny-falcon")
    assert {Path(each.path).parent for each in again if "r" in each.mode} <= {watched.data}
