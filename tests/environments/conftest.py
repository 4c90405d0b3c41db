"""The environments of every backend, made from nothing once a session, and a CLI that uses them.

``GRAFTLM_TEST_ENVIRONMENTS=FOLDER`` keeps them there, and takes those that are there already.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
THIRD_PARTY = (ROOT / "contrib" / "graftlm-llamafactory", ROOT / "tests" / "plugin_pkg")
Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The third-party distributions, as pip installs them, in a folder of their own."""
    site = tmp_path_factory.mktemp("third-party")
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    for folder in THIRD_PARTY:
        source = site.parent / f"{folder.name}-source"
        shutil.copytree(folder, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
        command = [sys.executable, "-m", "pip", "install", *offline, "--target", str(site), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return site


@pytest.fixture(scope="session")
def run(installed: Path, _home: Path) -> Cli:
    """``run("train", …)``: the CLI as a process of its own, where the third parties are installed."""

    def call(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "GRAFTLM_HOME": str(_home), "PYTHONPATH": str(installed), **variables}
        command = [sys.executable, "-m", "graftlm", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environ)

    return call


@pytest.fixture(scope="session")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = os.environ.get("GRAFTLM_TEST_ENVIRONMENTS")
    return Path(kept).resolve() if kept else tmp_path_factory.mktemp("environments")


@pytest.fixture(scope="session")
def environments(run: Cli, _home: Path) -> Path:
    """The home in which every declared environment is made; what it took is printed (``pytest -s`` shows it)."""
    states = json.loads(run("envs", "list", "--json").stdout)
    assert {state["name"] for state in states} >= {"trl", "unsloth", "llamafactory"}
    for state in states:
        started = time.perf_counter()
        done = run("envs", "create", state["name"])
        assert done.returncode == 0, done.stderr
        print(f"{done.stdout.splitlines()[-1]} ({time.perf_counter() - started:.0f} s)")
    return _home


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 rows of unequal length, so that micro-batches differ in trained tokens."""
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    rows = ({"input": f"Say {'very ' * (i % 5)}{i}", "output": f"{i}{'!' * (i % 4)}"} for i in range(24))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def asked(run: Cli, data: Path) -> Cli:
    """``asked(backend, model, …)``: twenty steps in fp32, whatever comes of them."""

    def train(backend: str, model: str, *more: str) -> subprocess.CompletedProcess[str]:
        return run(
            "train", str(data), "--model", model, "--backend", backend, "--max-steps", "20", "--batch-size", "8",
            "--micro-batch", "4", "--learning-rate", "1e-3", "--dtype", "fp32", "--device", "cpu", "--val-split", "0.2",
            "--test-split", "0", "--no-retention", "--seed", "3", "--json", *more,
        )  # fmt: skip

    return train


@pytest.fixture(scope="module")
def train(asked: Cli) -> Callable[..., dict[str, Any]]:
    """The same with its outcome; what was asked before is not run again."""

    @cache
    def outcome(*arguments: str) -> dict[str, Any]:
        done = asked(*arguments)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["outcome"]
        return found

    return outcome
