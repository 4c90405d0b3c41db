"""Making an environment: what pip is told, what is refused, and that nothing half made is left, or taken for whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import Said
from env_pkg.workshop import (
    EXAMPLE,
    OFFLINE,
    backend,
    environment,
    install,
    knowing,
    made,
    pip,
    pip_offline,
    wheel,
    words,
)

from graftlm.contracts.errors import PluginError, RunError, StoreError
from graftlm.environments import creation, installers
from graftlm.environments.creation import Choices, create
from graftlm.environments.declared import find
from graftlm.environments.installers import Wanted, pip_command, uv_command, uv_environ
from graftlm.environments.lock import alone
from graftlm.environments.manifest import keep_manifest, read_manifest
from graftlm.environments.places import folder_of
from graftlm.environments.state import state_of

Run = Callable[..., Said]
ALONE = Choices(share_torch=False)
WANTED = Wanted(requirements=["one==1.0"], editable=["/src/two"], constraints=Path("/c"), overrides=Path("/o"))


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that pip can get."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    pip_offline(monkeypatch, folder)
    return folder


# What pip and uv are told


def test_pip_is_told_of_constraints_and_editable_folders() -> None:
    command = pip_command(Path("/env/bin/python"), WANTED)
    assert command[:5] == ["/env/bin/python", "-P", "-m", "pip", "install"]  # -P: no module of the current folder
    assert command[-5:] == ["-c", "/c", "-e", "/src/two", "one==1.0"]


def test_pip_s_configuration_is_handed_on_to_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables go before files and 'install' before 'global', as for pip; a list may take several lines."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = file:///file\nextra-index-url =\n    file:///a\n    file:///b\n"
        "cert = /file.pem\nno-index = off\n[install]\nfind-links = /links /more\nno-index = yes\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_INDEX_URL", "file:///variable")
    monkeypatch.setenv("PIP_CERT", "/variable.pem")
    monkeypatch.setattr(installers, "uv", lambda: ["uv"])
    command = uv_command(Path("/env/bin/python"), WANTED)
    assert command[:5] == ["uv", "pip", "install", "--python", "/env/bin/python"]
    assert command[-3:] == ["-e", "/src/two", "one==1.0"]
    told = list(pairwise(command))
    assert ("--override", "/o") in told
    assert "--no-index" in command
    said = uv_environ()
    assert said["UV_DEFAULT_INDEX"] == "file:///variable"
    assert said["UV_INDEX"].split() == ["file:///a", "file:///b"]
    assert said["UV_FIND_LINKS"] == "/links,/more"
    assert said["SSL_CERT_FILE"] == "/variable.pem"


def test_secrets_stand_on_no_command_line_and_in_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:secret@host/simple")
    monkeypatch.setattr(installers, "uv", lambda: ["uv"])
    assert "secret" not in " ".join(uv_command(Path("/env/bin/python"), WANTED))
    assert "me:secret@host" in uv_environ()["UV_DEFAULT_INDEX"]
    said = installers.without_secrets("Looking in https://me:secret@host/simple, x @ git+https://TOKEN@other/x")
    assert said == "Looking in https://…@host/simple, x @ git+https://…@other/x"


def test_an_installer_is_not_led_to_another_place() -> None:
    environ = {"PIP_TARGET": "/t", "PIP_PREFIX": "/p", "PIP_PYTHON": "/usr/bin/python", "PIP_USER": "1"}
    assert installers.of_installers({**environ, "PYTHONPATH": "/x", "PIP_NO_INDEX": "1"}) == {"PIP_NO_INDEX": "1"}


def test_a_link_in_its_place_is_refused(home: Path, tmp_path: Path) -> None:
    """Neither removed nor taken for empty: what it leads to stays as it is."""
    found, known = declared()
    (tmp_path / "big" / "kept").mkdir(parents=True)
    folder = folder_of("example")
    folder.parent.mkdir(parents=True)
    folder.symlink_to(tmp_path / "big")
    with pytest.raises(StoreError, match="is a link: remove it, or set GRAFTLM_HOME"):
        create(found, known, ALONE, lambda line: None)
    assert (tmp_path / "big" / "kept").is_dir()


def test_no_index_is_not_said_where_pip_is_not_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setattr(installers, "uv", lambda: ["uv"])
    assert "--no-index" not in uv_command(Path("/env/bin/python"), WANTED)


def test_without_uv_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installers.shutil, "which", lambda name: None)
    monkeypatch.setattr(installers, "find_spec", lambda name: None)
    with pytest.raises(PluginError, match=r"uv is not installed \(run: pip install uv\), or leave --installer out"):
        uv_command(Path("/env/bin/python"), WANTED)


# What is refused


def declared(**changes: Any) -> tuple[Any, Any]:
    known = knowing(backend("a", environment(**changes)))
    return find("example", known), known


@pytest.mark.parametrize(
    ("changes", "choices", "kind", "sentence"),
    [
        ({"python": ">=4"}, {}, PluginError, r"needs Python >=4, and .* is 3\..*: give another with --python"),
        ({}, {"python": "/no/python"}, PluginError, "--python /no/python does not start: give the path of a Python"),
        ({"download_mb": 10**9}, {}, StoreError, "GB are needed: free some space, or set GRAFTLM_HOME to another disk"),
    ],
)
def test_it_cannot_be_made_here(changes: Any, choices: Any, kind: Any, sentence: str, home: Path) -> None:
    with pytest.raises(kind, match=sentence):
        create(*declared(**changes), Choices(**choices), lambda line: None)
    assert not folder_of("example").exists()


def test_one_process_makes_it_at_a_time(home: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of("example")
    folder.mkdir(parents=True)
    sentence = f"environment 'example' is being made by process {os.getpid()}: wait for it"
    with alone(folder):
        with pytest.raises(PluginError, match=sentence):
            create(*declared(), ALONE, lambda line: None)
        monkeypatch.setattr("graftlm_registry.plugins.registry", lambda: declared()[1])
        said = run("envs", "rm", "example")
        assert (said.code, words(said.err).strip()) == (2, f"Error: {sentence}")
        assert folder.is_dir()
    with alone(folder):
        pass


@pytest.mark.parametrize("said", ["dead", ""])
def test_the_lock_of_a_process_that_died_stops_nobody(said: str, home: Path) -> None:
    died = subprocess.Popen([sys.executable, "-c", ""])
    died.wait()
    lock = folder_of("example").with_name(".example.making")
    lock.mkdir(parents=True)
    (lock / "process").write_text(str(died.pid) if said else "")
    with alone(folder_of("example")):
        assert (lock / "process").read_text() == str(os.getpid())
    assert not lock.exists()


# What goes wrong while it is made


def test_what_pip_cannot_find_leaves_a_log_and_nothing_else(
    home: Path, run: Run, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there was one before, it is none any more."""
    wheel(wheels, "one")
    monkeypatch.setattr(creation, "sources", lambda registry: ())
    found, known = declared(download_mb=1)
    monkeypatch.setattr("graftlm_registry.plugins.registry", lambda: known)
    keep_manifest(made(found, packages={"old": "1"}))
    said = run("envs", "create", "example", "--no-share-torch", "--with", "no-such-package==1")
    assert said.code == 1
    log = home / "envs" / "example.log"
    (sentence,) = [line for line in said.err.splitlines() if line.startswith("Error: ")]
    assert sentence == (
        f"Error: what environment 'example' requires could not be installed (exit code 1). The log is {log}"
    )
    assert "no-such-package==1" in said.err.partition("The log is")[2]
    assert "Traceback" not in said.err
    assert "no-such-package==1" in log.read_text(encoding="utf-8")
    assert sorted(path.name for path in (home / "envs").iterdir()) == ["example.log"]
    assert state_of(found, known).kind == "not made"


def test_an_environment_that_is_being_replaced_is_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However early it is killed."""

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    found, known = declared(download_mb=1)
    keep_manifest(made(found))
    monkeypatch.setattr(creation.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        create(found, known, ALONE, lambda line: None)
    assert state_of(found, known).kind == "half made"


def test_a_proof_that_fails_removes_it(home: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel(wheels, "one")
    monkeypatch.setattr(creation, "sources", lambda registry: ())
    said: list[str] = []
    with pytest.raises(RunError, match=r"the device probe failed: .*graftlm"):
        create(*declared(download_mb=1), ALONE, said.append)
    assert said[-2:] == ["proving that a worker starts there", "removing what was made"]
    assert not folder_of("example").exists()


def test_extras_overrides_and_a_path_that_is_none_of_its_own(
    home: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What PYTHONPATH adds to this Python must not pass for what is installed there."""
    wheel(wheels, "one", requires=("two>=99", "three; extra == 'fast'"))
    pip("install", *OFFLINE, "--target", tmp_path / "site", wheel(wheels, "two"), wheel(wheels, "three"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.setattr(creation, "sources", lambda registry: ())
    monkeypatch.setattr(creation, "prove", lambda *_: None)
    found, known = declared(download_mb=1, requirements=("one[fast]==1.0",), overrides=("two==1.0",))
    create(found, known, ALONE, lambda line: None)
    manifest = read_manifest("example")
    assert manifest is not None
    assert {"one", "two", "three"} <= manifest.packages.keys()
    assert (manifest.torch, manifest.asked) == ("installed", ())
    assert list(folder_of("example").glob("lib/python*/site-packages/two.py"))


@contextmanager
def creating(home: Path, site: Path) -> Iterator[subprocess.Popen[str]]:
    """``graftlm envs create``, to interrupt."""
    environ = {**os.environ, "GRAFTLM_HOME": str(home), "PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "graftlm", "envs", "create", "env-example", "--no-share-torch"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_leaves_nothing(home: Path, tmp_path: Path) -> None:
    """Not what a child of the interrupted installer would go on writing either."""
    install(EXAMPLE, tmp_path / "site")
    folder = home / "envs" / "env-example"
    with creating(home, tmp_path / "site") as process:
        deadline = time.monotonic() + 60
        while not list(folder.glob("lib/python*/site-packages")) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.5)  # the virtual environment gets its pip now, from a process of its own
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "removing what was made" in said
    assert "Traceback" not in said
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(p.info["cmdline"] or ())]
    assert [path.name for path in (home / "envs").iterdir()] == ["env-example.log"]
