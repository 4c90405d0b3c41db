"""What the tests share: a home of their own, a command line in this process, small data."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["TOKENIZERS_PARALLELISM"] = "false"

ROOT = Path(__file__).resolve().parent.parent
MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session", autouse=True)
def _nobodys_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A test that asks for no home of its own must not write into that of whoever runs it."""
    os.environ["GRAFTLM_HOME"] = str(tmp_path_factory.mktemp("nobodys-home"))


@pytest.fixture(scope="session")
def _probed(tmp_path_factory: pytest.TempPathFactory, _nobodys_home: None) -> Path:
    """One device probe for all tests, and the built-in models' own chat templates: both take a process."""
    from graftlm.chat_templates.own import OwnTemplate
    from graftlm.environments import probing
    from graftlm.planning.prompting import kept_own_texts
    from graftlm_registry.models import catalogue

    home = tmp_path_factory.mktemp("probed")
    before = os.environ.get("GRAFTLM_HOME")
    os.environ["GRAFTLM_HOME"] = str(home)
    try:
        probing.probe()
        for name in catalogue().names():
            folder = catalogue().entry(name).folder
            if folder is not None:
                kept_own_texts(OwnTemplate.from_folder(folder, name))
    finally:
        if before is None:
            del os.environ["GRAFTLM_HOME"]
        else:
            os.environ["GRAFTLM_HOME"] = before
    return home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _probed: Path) -> Path:
    """An empty graftlm home (only the device probe and the built-in models' chat templates are known)."""
    folder = tmp_path / "home"
    (folder / "cache").mkdir(parents=True)
    (folder / "probes").symlink_to(_probed / "probes")
    (folder / "cache" / "chat-templates").symlink_to(_probed / "cache" / "chat-templates")
    monkeypatch.setenv("GRAFTLM_HOME", str(folder))
    return folder


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """``run("train", "data.jsonl", …)``: the console script, in this process."""
    from graftlm import cli

    def call(*arguments: str | Path) -> Said:
        monkeypatch.setattr(sys, "argv", ["graftlm", *map(str, arguments)])
        capfd.readouterr()
        try:
            cli.main()
            code: Any = 0
        except SystemExit as stop:
            code = stop.code or 0
        captured = capfd.readouterr()
        return Said(int(code), captured.out, captured.err)

    return call


@pytest.fixture
def write_rows(tmp_path: Path) -> Callable[[str, Sequence[Any]], Path]:
    """Write a JSONL file of rows."""

    def write(name: str, rows: Sequence[Any]) -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture
def alpaca(write_rows: Callable[[str, Sequence[Any]], Path]) -> Path:
    """Forty rows of the simplest kind."""
    return write_rows("data.jsonl", alpaca_rows(40))


def alpaca_rows(count: int) -> list[dict[str, str]]:
    return [
        {"instruction": "Name the colour.", "input": f"thing {i}", "output": ("red", "blue")[i % 2]}
        for i in range(count)
    ]


@pytest.fixture(autouse=True)
def _fresh_registry() -> Iterator[None]:
    """A test that changes what is installed must not leave its registry behind."""
    yield
    from graftlm_registry.plugins import registry

    registry.cache_clear()


# The proofs of the store (tests/store)


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """An empty folder, in memory where there is such a place: thousands of stores are made and thrown away."""
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < 1 << 29:
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="graftlm-store-", dir=MEMORY))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def store(quick: Path) -> Any:
    from graftlm_registry.adapters import AdapterStore

    return AdapterStore(quick / "store")


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Say what was counted; ``pytest -rP`` shows it."""

    def say(text: str) -> None:
        print(f"FIGURES {request.node.name}: {text}")

    return say
