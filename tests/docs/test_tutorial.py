"""The tutorial's commands, all of them, in order; what the page shows is what comes out, figures aside."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from conftest import ROOT, Said
from markdown_blocks import Command, blocks, commands, file_of
from shown_output import ANY, missing

from graftlm.judging import scoring
from graftlm.running import answer
from graftlm.running.train import carry_out
from graftlm.testing.in_process import start_in_process

PAGE = ROOT / "docs" / "tutorial.md"


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers' jobs are carried out here: torch is imported once."""
    monkeypatch.setitem(carry_out.__kwdefaults__, "start", start_in_process)
    monkeypatch.setattr(scoring, "run_worker", start_in_process)
    monkeypatch.setattr(answer, "run_worker", start_in_process)


@pytest.fixture
def carried_out(
    run: Callable[..., Said], in_this_process: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Command], str]:
    folder = tmp_path / "shop"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "110")  # as wide as the page shows tables
    for name in ("make_data.py", "use_it.py"):
        (folder / name).write_text(file_of(PAGE, name), encoding="utf-8")

    def carry(command: Command) -> str:
        line = re.sub(
            r"\$'((?:[^'\\]|\\.)*)'", lambda m: shlex.quote(m[1].encode().decode("unicode_escape")), command.line
        )
        first, *words = shlex.split(line)
        if first == "python":
            with redirect_stdout(StringIO()) as said_here:
                runpy.run_path(words[0], run_name="__main__")
            return said_here.getvalue()
        assert first == "graftlm", command.line
        said = run(*words)
        assert said.code == 0, f"{command.line}: {said.err}"
        return said.out

    return carry


def test_every_command_does_what_the_page_shows(carried_out: Callable[[Command], str]) -> None:
    known = commands(PAGE)
    assert len(known) >= 10
    for command in known:
        out = carried_out(command)
        assert missing(command.shown, out) == "", f"{command.line}\n{out}"
    verbs = [shlex.split(command.line)[1] for command in known if command.line.startswith("graftlm")]
    assert [v for v in dict.fromkeys(verbs) if v in ("advise", "plan", "train", "generate", "eval", "adapters")] == [
        "advise", "plan", "train", "generate", "adapters", "eval",
    ]  # fmt: skip


def test_it_is_installed_as_the_readme_says() -> None:
    """And pip finds the extra and the pins: nothing is downloaded."""
    (block,) = blocks(PAGE, "sh")
    line = next(line for line in block.text.splitlines() if line.startswith("pip install"))
    assert line in [command.line for command in commands(ROOT / "README.md")]
    dry = ["--dry-run", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", *shlex.split(line)[:2], *dry, *shlex.split(line)[2:]]
    done = subprocess.run(pip, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "does not provide the extra" not in done.stderr


@pytest.mark.parametrize(
    ("shown", "out", "found"),
    [
        (["loss 6.9 → 0.1"], "loss 7.1 → 0.2", True),
        (["loss 6.9 → 0.1"], "loss 7.1", False),
        (["a 1", ANY, "c 3"], "a 2\nb\nc 4", True),
        (["a 1", "c 3"], "a 2\nb\nc 4", False),
        (["c", "a"], "a\nc", False),
    ],
)
def test_what_is_shown_is_compared(shown: Sequence[str], out: str, found: bool) -> None:
    assert (missing(shown, out) == "") is found
