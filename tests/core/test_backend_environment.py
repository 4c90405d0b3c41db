"""A backend of a stranger in an environment of its own, really made, offline: it trains there, and dies there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import Said, alpaca_rows
from env_pkg.workshop import EXAMPLE, install, install_graftlm_and_example, pip_offline, wheelhouse, words

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import PluginError, RunError
from graftlm.environments import probing
from graftlm.environments.declared import find
from graftlm.environments.interpreter import BASE, Interpreter
from graftlm.environments.manifest import Manifest, read_manifest
from graftlm.environments.places import folder_of
from graftlm.environments.state import state_of
from graftlm.planning.resolve import resolve
from graftlm.running.answer import answer
from graftlm.running.train import Trained, carry_out
from graftlm.running.worker_process import OnEvent
from graftlm.source import code_digest
from graftlm.testing.in_process import start_in_process
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry

NAME = "env-example"
Run = Callable[..., Said]
SETTINGS: dict[str, Any] = {
    "model": "tiny-mistral", "device": "cpu", "max_steps": 5, "batch_size": 4, "micro_batch": 2, "rank": 4,
    "learning_rate": 1e-3, "retention": False, "val_split": 0.0, "test_split": 0.0, "seed": 1,
}  # fmt: skip


class World:
    """graftlm and the example as pip installs wheels, in a folder of their own; a home; what creating said."""

    def __init__(self, folder: Path) -> None:
        self.site, self.home, self.rows = folder / "site", folder / "home", folder / "rows.jsonl"
        self.wheels = wheelhouse(folder / "wheels")
        install_graftlm_and_example(self.site)
        self.jobs: list[tuple[str, str]] = []
        self.rows.write_text("".join(json.dumps(row) + "\n" for row in alpaca_rows(20)), encoding="utf-8")

    @property
    def environ(self) -> dict[str, str]:
        """For a process that is this graftlm."""
        return {**os.environ, "PYTHONPATH": str(self.site), "GRAFTLM_HOME": str(self.home)}

    @property
    def manifest(self) -> Manifest:
        found = read_manifest(NAME)
        assert found is not None
        return found

    def train(self, **settings: Any) -> Trained:
        """Only what runs in the environment is a process of its own; ``jobs`` tells where each ran."""
        self.jobs.clear()
        config = RunConfig(data=str(self.rows), **{**SETTINGS, **settings})
        return carry_out(resolve(config, registry()), registry(), lambda event: None, start=self.start)

    def start(self, job: str, folder: Path, on_event: OnEvent, /, at: Interpreter = BASE) -> Mapping[str, Any]:
        self.jobs.append((job, at.environment))
        return start_in_process(job, folder, on_event, at=at)


def _entered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed in the world's folder comes first in this process; torch's wheel is not downloaded."""
    monkeypatch.setenv("GRAFTLM_HOME", str(world.home))
    monkeypatch.syspath_prepend(str(world.site))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    pip_offline(monkeypatch, world.wheels)
    registry.cache_clear()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, _probed: Path) -> World:
    world = World(tmp_path_factory.mktemp("world"))
    world.home.mkdir()
    (world.home / "probes").symlink_to(_probed / "probes")
    (world.home / "cache").mkdir()
    (world.home / "cache" / "chat-templates").symlink_to(_probed / "cache" / "chat-templates")
    return world


@pytest.fixture(scope="module")
def created(base: World) -> subprocess.CompletedProcess[str]:
    """``graftlm envs create``, as a stranger gives it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        pip_offline(monkeypatch, base.wheels)
        command = [sys.executable, "-m", "graftlm", "envs", "create", NAME]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=base.environ)


@pytest.fixture
def home(base: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The world's, for ``run``."""
    _entered(base, monkeypatch)
    yield base.home
    sys.modules.pop("graftlm_env_example", None)


@pytest.fixture
def world(base: World, home: Path, created: subprocess.CompletedProcess[str]) -> World:
    """With the environment made."""
    assert created.returncode == 0, created.stdout + created.stderr
    return base


@dataclass(frozen=True)
class Skilled:
    """The run that trained ``skill`` in the environment, and where each of its jobs ran."""

    trained: Trained
    jobs: tuple[tuple[str, str], ...]


@pytest.fixture(scope="module")
def skilled(base: World, created: subprocess.CompletedProcess[str]) -> Iterator[Skilled]:
    assert created.returncode == 0, created.stdout + created.stderr
    with pytest.MonkeyPatch.context() as monkeypatch:
        _entered(base, monkeypatch)
        yield Skilled(base.train(backend=NAME, name="skill"), tuple(base.jobs))
    sys.modules.pop("graftlm_env_example", None)
    registry.cache_clear()


def test_without_the_environment_a_run_says_how_to_make_it(
    base: World, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFTLM_HOME", str(tmp_path / "empty"))
    said = run("train", base.rows, "--model", "tiny-mistral", "--backend", NAME, "--device", "cpu")
    assert (said.code, said.out) == (2, "")
    assert words(said.err).strip().removeprefix("Error: ") == (
        "backend env-example: runs in an environment of its own, which is not made yet "
        "(run: graftlm envs create env-example, which downloads about 5 MB, torch aside)"
    )
    assert not (tmp_path / "empty" / "runs").exists()


def test_what_creating_says(world: World, created: subprocess.CompletedProcess[str]) -> None:
    assert created.stderr.splitlines() == [
        f"making a virtual environment in {folder_of(NAME)}",
        f"linking torch {world.manifest.version('torch')} of this environment",
        "installing",
        "proving that a worker starts there",
    ]
    first, last = created.stdout.splitlines()
    assert first.endswith(": about 5 MB to download, torch is linked from this environment where it fits")
    assert last.startswith(f"{NAME} is ready: {len(world.manifest.packages)} packages, ")


def test_it_is_ready_and_sound(world: World, run: Run) -> None:
    state = state_of(find(NAME, registry()), registry())
    assert (state.kind, state.problem) == ("ready", "")
    manifest = world.manifest
    assert manifest.torch == "shared"
    assert manifest.lock == state.interpreter().lock != ""
    assert 10e6 < manifest.bytes < 700e6, "torch is not counted"
    assert set(manifest.sources) == {"graftlm", "graftlm-env-example"}
    assert manifest.version("env_example_dep") == manifest.version("graftlm-env-example") == "1.0"
    checked = run("envs", "check", NAME)
    assert (checked.code, checked.err) == (0, "")
    assert "env_example_dep" in checked.out
    listed = {row["name"]: row for row in json.loads(run("envs", "list", "--json").out)}
    assert (listed[NAME]["state"], listed[NAME]["bytes"]) == ("ready", manifest.bytes)
    lines = run("envs", "show", NAME, "--lock").out.splitlines()
    assert lines == [f"{name}=={version}" for name, version in manifest.packages.items()]
    again = run("envs", "create", NAME)
    assert again.code == 0
    assert "--again makes it anew" in again.out


def test_torch_is_the_same_file_and_the_worker_the_same_code(world: World) -> None:
    import torch

    site = next(folder_of(NAME).glob("lib/python*/site-packages"))
    assert (site / "torch" / "__init__.py").samefile(Path(torch.__file__))
    assert not list(folder_of(NAME).rglob("*.whl")), "what pip was given is gone"
    probe = probing.probe(state_of(find(NAME, registry()), registry()).interpreter())
    assert probe.code == code_digest()
    assert probe.versions["torch"] == torch.__version__


def test_a_plan_names_environment_and_lock(world: World, run: Run) -> None:
    asked = ("plan", world.rows, "--model", "tiny-mistral", "--backend", NAME, "--device", "cpu")
    plan = json.loads(run(*asked, "--json").out)
    assert (plan["environment"], plan["lock"]) == (NAME, world.manifest.lock)
    assert f"lock {world.manifest.lock}" in words(run(*asked).out)


def test_it_trains_there_what_peft_trains_here(world: World, skilled: Skilled) -> None:
    trained, outcome = skilled.trained, skilled.trained.outcome
    here = world.train(backend="peft", name="same")
    assert len(outcome.losses) == 5
    assert outcome.losses == pytest.approx(here.outcome.losses, abs=1e-5)
    assert outcome.proof.effect > 0
    assert outcome.proof.base_before == outcome.proof.base_after == here.outcome.proof.base_before
    versions = outcome.effective.versions
    assert versions
    assert versions == {**versions, **{n: world.manifest.version(n) for n in versions if n in world.manifest.packages}}
    log = (trained.run / "log.txt").read_text(encoding="utf-8")
    assert "hello: ENV_EXAMPLE is set for the worker" in log
    assert "Traceback" not in log
    kept = {path.name for path in trained.run.iterdir()}
    assert not kept & {"data", "encoded", "initial", "scratch"}
    assert list((world.home / "store" / "staging").iterdir()) == [], "nothing staged is left"


def test_the_environment_trains_and_does_no_more(skilled: Skilled) -> None:
    assert [job for job in skilled.jobs if job[0] != "encode"] == [("initial", ""), ("train", NAME), ("prove", "")]


def test_generate_answers_with_the_adapter(world: World, skilled: Skilled) -> None:
    (said,) = answer("skill", ["Name the colour."], registry(), lambda event: None, 3, start=start_in_process)
    assert isinstance(said, str)


DEATHS = {
    "killed": ("the worker died (SIGKILL, perhaps out of memory)", "the last words of a worker"),
    "lacking": (
        "the worker failed: ModuleNotFoundError: No module named 'env_example_absent'",
        "ModuleNotFoundError: No module named 'env_example_absent'",
    ),
    "leaving": ("the worker died (exit code 3)", "the last words of a worker"),
}


@pytest.mark.parametrize("death", DEATHS)
def test_a_worker_that_dies_there(death: str, world: World) -> None:
    first, last = DEATHS[death]
    with pytest.raises(RunError) as error:
        world.train(backend=f"{NAME}-{death}", name="never")
    sentence, *tail = str(error.value).splitlines()
    if death != "lacking":  # nobody knows whether it would again
        assert tail.pop().startswith("What was done is kept. Once that is mended, it goes on from the beginning")
    assert sentence.startswith(f"{first} (is its environment sound? run: graftlm envs check {NAME}). Its log is ")
    log = Path(sentence.partition("Its log is ")[2].partition(", and ends with")[0])
    assert log.read_text(encoding="utf-8").splitlines()[-1] == last
    assert 1 <= len(tail) <= 5
    assert tail[-1] == f"  | {last}"
    assert "never" not in open_store().names(), "nothing is published"


def test_a_plugin_that_was_installed_again_makes_it_stale(
    world: World, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__", "build"))
    module = source / "graftlm_env_example" / "__init__.py"
    module.write_text(module.read_text(encoding="utf-8") + "\nCHANGED = True\n", encoding="utf-8")
    install(source, tmp_path / "site")
    config = RunConfig(data=str(world.rows), **SETTINGS, backend=NAME)
    planned = resolve(config, registry())
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    sys.modules.pop("graftlm_env_example")
    registry.cache_clear()
    sentence = (
        "runs in an environment of its own, which is stale: graftlm-env-example is another one than when it was made "
        "(run: graftlm envs create env-example, which downloads about 5 MB, torch aside)"
    )
    (problem,) = resolve(config, registry()).problems
    assert problem == f"backend {NAME}: {sentence}"
    with pytest.raises(PluginError, match="is not the one that was planned with: plan again"):
        carry_out(planned, registry(), lambda event: None, start=start_in_process)
    checked = run("envs", "check", NAME)
    assert checked.code == 2
    assert "graftlm-env-example is another one" in checked.err


def test_rm_removes_it_and_leaves_its_adapters(
    world: World, skilled: Skilled, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a home with the same files: other tests need this one."""
    import torch

    for kept in ("envs", "store"):
        shutil.copytree(world.home / kept, tmp_path / kept, symlinks=True, copy_function=os.link)
    monkeypatch.setenv("GRAFTLM_HOME", str(tmp_path))
    removed = run("envs", "rm", NAME)
    assert (removed.code, removed.err) == (0, "")
    assert removed.out.startswith(f"removed {NAME}, ")
    assert list((tmp_path / "envs").iterdir()) == []
    assert Path(torch.__file__).is_file()
    assert "skill@1" in run("adapters", "show", "skill").out
    again = run("envs", "rm", NAME)
    assert again.code == 2
    assert "is not made: there is nothing to remove" in again.err
