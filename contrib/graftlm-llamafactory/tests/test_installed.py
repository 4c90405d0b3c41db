"""Installed beside graftlm, the plugin is found."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def graftlm(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs graftlm's command line where this distribution is installed."""
    site = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(site)]
    subprocess.run([*install, str(PROJECT)], check=True, capture_output=True)
    paths = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "graftlm", *arguments]
        return subprocess.run(
            command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
        )

    return run


def test_the_backend_is_listed(graftlm: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    listed = graftlm("plugins", "list")
    assert listed.returncode == 0, listed.stderr
    (line,) = (line for line in listed.stdout.splitlines() if line.split()[:2] == ["backend", "llamafactory"])
    assert "graftlm-llamafactory" in line
    assert "run: graftlm envs create llamafactory" in " ".join(listed.stdout.split())


def test_the_command_is_in_its_group(graftlm: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    (tmp_path / "theirs.yaml").write_text("model_name_or_path: tiny-mistral\nlora_rank: 4\n", encoding="utf-8")
    out = tmp_path / "ours.yaml"
    said = graftlm("config", "import-llamafactory", str(tmp_path / "theirs.yaml"), "--out", str(out))
    assert said.returncode == 0, said.stderr
    assert "rank: 4" in out.read_text(encoding="utf-8")
    there = graftlm("config", "import-llamafactory", str(tmp_path / "theirs.yaml"), "--out", str(out))
    assert (there.returncode, "--force" in there.stderr) == (2, True)
    assert "import-llamafactory" in graftlm("config", "--help").stdout


def test_the_command_is_what_graftlm_asks_of_one(graftlm: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    judged = graftlm("plugins", "check", "command/import-llamafactory")
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "graftlm_llamafactory.conformance:ImportSuite" in judged.stdout
    assert "not asked" not in judged.stdout


def test_nothing_heavy_is_imported_with_it(graftlm: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    code = (
        "import sys, graftlm_llamafactory, graftlm_llamafactory.importing.command;"
        "print([name for name in ('torch', 'transformers', 'datasets', 'pyarrow', 'numpy') if name in sys.modules])"
    )
    path = os.pathsep.join([str(PROJECT / "src"), os.environ.get("PYTHONPATH", "")])
    found = subprocess.run(
        [sys.executable, "-P", "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert found.stdout.strip() == "[]"
