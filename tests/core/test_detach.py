"""Runs in processes of their own: watched, stopped, killed and gone on with from another terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Said

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import RunError
from graftlm.planning.resolve import resolve
from graftlm.running.detached import start_detached
from graftlm.running.run_events import events_of, last_step
from graftlm.running.train import prepare
from graftlm.worker.alone import alone
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry
from graftlm_registry.runs import Run, all_runs, status_of
from graftlm_registry.runs.supervisor import supervising

Call = Callable[..., Said]
STEPS = 250
SETTINGS = (
    "--model", "tiny-falcon", "--max-steps", str(STEPS), "--batch-size", "4", "--val-split", "0", "--test-split", "0",
    "--no-retention", "--deterministic", "--name", "far",
)  # fmt: skip


def heeding() -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def front(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "graftlm", *map(str, arguments)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=heeding,  # tests in the background ignore some
    )  # fmt: skip


def until(what: Callable[[], object], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def workers(run: Run) -> list[int]:
    found = subprocess.run(
        ["pgrep", "-f", f"graftlm.worker.*{run.folder}"], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in found.stdout.split()]


def step_after(run: Run, step: int) -> None:
    until(lambda: any(e["event"] == "metric" and e["step"] > step for e in events_of(run.folder)))


def newest(run: Run) -> int:
    found = run.checkpoints().newest(run.plan().hash)
    assert found is not None
    return found.step


def test_a_detached_run_is_watched_stopped_killed_and_ends_as_if_nothing_had_happened(
    run: Call, home: Path, alpaca: Path
) -> None:
    started = run("train", alpaca, *SETTINGS, "--detach", "--json")
    assert started.code == 0, started.err
    told = json.loads(started.out)
    (found,) = all_runs()
    assert (told["run"], told["folder"]) == (found.name, str(found.folder))
    held = found.supervisor()
    assert held is not None
    assert (held.process, held.detached) == (told["process"], True)
    assert os.getsid(held.process) == held.process != os.getsid(0)  # no terminal's signals reach it
    refused = run("runs", "resume", "last", "--detach")
    assert (refused.code, f"is being carried out by process {held.process}" in refused.err) == (2, True)

    step_after(found, 2)
    watching = front("runs", "logs", "last", "--follow")
    stopped = run("runs", "stop", "last")
    assert stopped.code == 0, stopped.err
    first = newest(found)
    assert stopped.out == (
        f"{found.name} is stopped\nit goes on after step {first} of {STEPS}: graftlm runs resume {found.name}\n"
    )
    assert (status_of(found).state, workers(found)) == ("stopped", [])
    ending = found.ending()
    assert ending is not None
    assert (ending.exit_code, ending.message) == (143, "stopped by SIGTERM")
    _, err = watching.communicate(timeout=60)
    assert watching.returncode == 0
    assert f"{found.name} is stopped: stopped by SIGTERM" in err

    again = run("runs", "resume", "last", "--detach")
    assert again.code == 0, again.err
    assert again.out.startswith(f"{found.name} (far) goes on after step {first} of {STEPS}\n")
    assert f"graftlm runs logs --follow {found.name}" in again.out
    step_after(found, first + 2)
    held = found.supervisor()
    assert held is not None
    os.kill(held.process, signal.SIGKILL)
    until(lambda: not workers(found))  # it finds nobody to tell
    second = newest(found)
    assert first < second < STEPS
    assert status_of(found).state == "lost"
    assert "its process was killed" in run("runs", "show", "last").out

    ended = run("runs", "resume", "last")
    assert ended.code == 0, ended.err
    assert f"goes on after step {second} of {STEPS}" in ended.err
    assert f"stopped, and gone on with after steps {first}, {second}" in ended.out
    whole = run("train", alpaca, *SETTINGS)
    assert whole.code == 0, whole.err
    assert open_store().get("far@1").digest == open_store().get("far@2").digest
    assert len(events_with_losses(found)) == STEPS


def events_with_losses(run: Run) -> set[int]:
    return {event["step"] for event in events_of(run.folder) if event["event"] == "metric"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_leaves_a_run_that_goes_on(home: Path, alpaca: Path, number: int, code: int) -> None:
    process = front("train", alpaca, *SETTINGS)
    until(lambda: any(map(last_step_of, all_runs())))
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    (found,) = all_runs()
    step = newest(found)
    assert process.returncode == code
    assert err.splitlines()[-2:] == [
        f"stopped by {signal.Signals(number).name}; nothing was published",
        f"it goes on after step {step} of {STEPS}: graftlm runs resume {found.name}",
    ]
    assert "Traceback" not in err
    assert (status_of(found).state, workers(found)) == ("stopped", [])
    assert open_store().names() == []
    assert list((home / "store" / "staging").iterdir()) == []


def last_step_of(run: Run) -> int:
    return last_step(run.folder)[0]


def test_a_front_that_is_killed_leaves_a_checkpoint(run: Call, home: Path, alpaca: Path) -> None:
    process = front("train", alpaca, *SETTINGS)
    until(lambda: any(map(last_step_of, all_runs())))
    process.kill()
    process.communicate(timeout=60)
    (found,) = all_runs()
    until(lambda: not workers(found))
    assert newest(found) > 0
    said = run("runs", "show", "last").out
    assert f"after step {newest(found)} of {STEPS}" in said
    assert status_of(found).state == "lost"
    assert open_store().names() == []


def test_what_speaks_against_a_run_is_said_before_it_is_detached(run: Call, home: Path, alpaca: Path) -> None:
    said = run("train", alpaca, "--model", "tiny-falkon", "--detach")
    assert said.code == 2
    assert "tiny-falcon" in said.err
    assert list(all_runs()) == []


def test_a_supervisor_that_cannot_begin_is_told(home: Path, alpaca: Path) -> None:
    asked = RunConfig(data=str(alpaca), model="tiny-falcon", max_steps=1, retention=False)
    made = prepare(resolve(asked, registry()), registry())
    with supervising(made.folder):
        with pytest.raises(RunError, match=rf"exit code 2: .*is being carried out by process {os.getpid()}"):
            start_detached(made)
        assert "is being carried out" in (made.folder / "supervisor.txt").read_text(encoding="utf-8")


def test_one_worker_waits_for_another_to_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a run is gone on with at once, while the worker that a kill left still writes its checkpoint."""
    told: list[str] = []
    events: Any = SimpleNamespace(checkpoint=lambda: None, warning=told.append)
    with alone(tmp_path, events):
        monkeypatch.setattr("graftlm.worker.alone.PATIENCE", 0.3)
        with pytest.raises(RunError, match="an earlier worker of this run does not leave"), alone(tmp_path, events):
            pytest.fail("two workers are in one run")
    assert len(told) == 1
    with alone(tmp_path, events):
        assert len(told) == 1

    lock = alone(tmp_path, events)
    lock.__enter__()
    monkeypatch.setattr("graftlm.worker.alone.PATIENCE", 60.0)
    threading.Timer(0.5, lock.__exit__, (None, None, None)).start()
    began = time.monotonic()
    with alone(tmp_path, events):
        assert time.monotonic() - began > 0.2
    assert len(told) == 2
