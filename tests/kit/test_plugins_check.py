"""``graftlm plugins check``: a stranger's plugin judged in a process of its own, and what is told of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

SOUND = """
    from graftlm.api import Conversation, DataError, DataFormat, Message, hookimpl

    def parse(record):
        if not all(isinstance(record.get(name), str) for name in ("riddle", "solution")):
            raise DataError("a riddle and its solution must be text")
        return Conversation((Message("user", record["riddle"]), Message("assistant", record["solution"])))

    @hookimpl
    def graftlm_data_formats():
        yield DataFormat(
            name="riddles", summary="a riddle and its solution", suite="graftlm_riddles:RiddlesSuite",
            recognises=lambda record: {"riddle", "solution"} <= record.keys(), parse=parse,
            fields=("riddle", "solution"),
        )

    def __getattr__(name):  # the suite is imported where it is asked for
        if name != "RiddlesSuite":
            raise AttributeError(name)
        from graftlm.testing import FormatSuite

        class RiddlesSuite(FormatSuite):
            format = "riddles"
            tries = 20
            examples = (({"riddle": "q", "solution": "a"}, (Message("user", "q"), Message("assistant", "a"))),)
            broken = ({"riddle": 1, "solution": "a"},)

        return RiddlesSuite
"""


def check(folder: Path, source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``graftlm plugins check`` where a distribution with this source is installed."""
    (folder / "graftlm_riddles.py").write_text(dedent(source), encoding="utf-8")
    metadata = folder / "graftlm_riddles-0.5.dist-info"
    metadata.mkdir(exist_ok=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: graftlm-riddles\nVersion: 0.5\n")
    (metadata / "entry_points.txt").write_text("[graftlm.v1]\nriddles = graftlm_riddles\n")
    command = [sys.executable, "-m", "graftlm", "plugins", "check", *(arguments or ("riddles",))]
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    environment.pop("GRAFTLM_PLUGINS", None)
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)


def test_a_sound_plugin_passes_its_own_suite(tmp_path: Path) -> None:
    done = check(tmp_path, SOUND)
    assert (done.returncode, done.stderr) == (0, "")
    assert "passed     records become conversations" in done.stdout
    assert "not asked  what is written reads back" in done.stdout
    assert "format riddles of graftlm-riddles 0.5" in done.stdout
    assert "(kit 1, graftlm" in done.stdout
    assert "failed" not in done.stdout


def test_a_fault_is_told_and_fails_the_command(tmp_path: Path) -> None:
    done = check(tmp_path, SOUND.replace('Message("user", record["riddle"])', 'Message("user", record["solution"])'))
    assert done.returncode == 1
    assert "failed     records become conversations" in done.stdout
    assert "means (Message(role='user', content='q'" in done.stdout


def test_as_json_it_is_whole(tmp_path: Path) -> None:
    done = check(tmp_path, SOUND, "format/riddles", "--json", "--only", "recognises")
    found = json.loads(done.stdout)
    assert (found["kind"], found["name"], found["from"], found["version"]) == (
        "format",
        "riddles",
        "graftlm-riddles",
        "0.5",
    )
    assert [each["words"] for each in found["checks"]] == [
        "it alone recognises its records",
        "it recognises nothing else",
    ]
    assert {each["state"] for each in found["checks"]} == {"passed"}
    assert found["suite"].endswith("RiddlesSuite")


def test_without_a_suite_of_its_own_it_says_what_is_not_asked(tmp_path: Path) -> None:
    done = check(tmp_path, SOUND.replace('suite="graftlm_riddles:RiddlesSuite",', ""))
    assert done.returncode == 0
    assert "a FormatSuite with examples" in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("graftlm_riddles:RiddlesSuite", "graftlm_riddles:Nowhere", "cannot be had"),
        ('format = "riddles"', 'format = "alpaca"', "judges format 'alpaca'"),
        ("class RiddlesSuite(FormatSuite):", "class RiddlesSuite:", "no subclass of a suite"),
        ("tries = 20", "known_gaps = {'test_nothing': None}", "which is no check of it"),
        ("tries = 20", "test_of_mine = lambda self: __import__('os')._exit(7)", "ended with code 7"),
    ],
)
def test_a_suite_that_cannot_be_had_is_a_sentence(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in SOUND
    done = check(tmp_path, SOUND.replace(old, new))
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    done = check(tmp_path, SOUND, "ridles")
    assert done.returncode == 2
    assert "unknown plugin 'ridles'. Did you mean 'riddles'?" in done.stderr
    done = check(tmp_path, SOUND, "riddles", "--only", "levitation")
    assert done.returncode == 2
    assert "no check has 'levitation' in its name" in done.stderr
