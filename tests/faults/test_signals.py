"""Signals to a real ``graftlm train``, in each phase: it leaves as it should, and can be gone on with from there."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from real_runs import MAIN, PATIENCE, Front, gone, heeding, like, workers_of

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import Interrupted
from graftlm.contracts.outcome import Outcome
from graftlm.planning.resolve import resolve
from graftlm.running.run_events import events_of
from graftlm.running.supervise import supervise
from graftlm.running.train import carry_out
from graftlm.testing.in_process import start_in_process
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry
from graftlm_registry.runs import Run

STEPS = 4
ASKED: dict[str, Any] = {
    "model": "tiny-mistral", "max_steps": STEPS, "eval_every": 2, "batch_size": 4, "micro_batch": 2, "val_split": 0.2,
    "learning_rate": 5e-3, "dropout": 0.1, "retention": False, "device": "cpu", "name": "signalled",
    "accelerator": "sdpa+faulty",
}  # fmt: skip
SLOW = 0.25
"""Seconds that a micro-batch takes at least."""
PHASES = ("encode", "load", "train", "validation", "score", "publish")
SIGNALS = (signal.SIGINT, signal.SIGTERM)
SHORT = {("train", signal.SIGINT), ("score", signal.SIGTERM)}
CASES = [
    pytest.param(phase, number, marks=() if (phase, number) in SHORT else pytest.mark.slow, id=f"{number.name}-{phase}")
    for phase in PHASES
    for number in SIGNALS
]


@pytest.fixture
def fronts(home: Path, faulty: Callable[[str], None], tmp_path: Path, alpaca: Path) -> Iterator[Callable[..., Front]]:
    """``fronts("slow 0.2", …)``: the run in a front of its own, with that fault."""
    made: list[Front] = []

    def start(fault: str, *flags: str) -> Front:
        made.append(Front(tmp_path, alpaca, *arguments(), *flags, GRAFTLM_FAULT=fault))
        return made[-1]

    yield start
    for front in made:
        front.end()


def arguments() -> list[str]:
    return [text for key, value in ASKED.items() for text in _flag(key, value)]


def _flag(key: str, value: Any) -> list[str]:
    flag = "--" + key.replace("_", "-")
    return [flag.replace("--", "--no-", 1)] if value is False else [flag, str(value)]


def never_stopped(alpaca: Path) -> Outcome:
    plan = resolve(RunConfig(data=str(alpaca), **ASKED), registry())
    return carry_out(plan, registry(), lambda event: None, start=start_in_process).outcome


def gone_on_with(run: Run) -> Outcome:
    return supervise(run, registry(), lambda event: None, start=start_in_process).outcome


def come(front: Front, run: Run, phase: str) -> None:
    """Wait until the run is in the middle of it."""
    match phase:
        case "encode":
            front.told(run, "hello")
        case "load":
            front.told(run, "progress", stage="load")
        case "train":  # between the micro-batches of the second step
            front.told(run, "metric", step=1)
            time.sleep(SLOW * 1.2)
        case "validation":
            front.told(run, "metric", step=1)
            time.sleep(SLOW * 3.3)
        case "score":
            front.until(lambda: [e for e in events_of(run.folder) if str(e.get("stage")).startswith("score")])
        case "publish":
            front.until(lambda: [e for e in events_of(run.folder) if e["event"] == "done" and "outcome" in e])


@pytest.mark.parametrize(("phase", "number"), CASES)
def test_a_signal(
    fronts: Callable[..., Front],
    faulty: Callable[[str], None],
    alpaca: Path,
    phase: str,
    number: signal.Signals,
    figures: Callable[[str], None],
) -> None:
    front = fronts(f"slow {SLOW}")
    run = front.run()
    worker = front.worker()
    come(front, run, phase)
    worker = next(iter(workers_of(front.process.pid)), worker)
    asked = time.monotonic()
    front.process.send_signal(number)
    code = front.left()
    took = time.monotonic() - asked
    if phase == "publish" and code == 0:
        figures("it was published already: nothing was left to stop")
        return
    assert code == 128 + number, front.said
    assert gone(worker, 1)
    why, last = front.said.strip().splitlines()[-2:]
    assert why.startswith(f"stopped by {number.name}; "), front.said
    assert "Traceback" not in front.said
    assert f"graftlm runs resume {run.name}" in last
    published = list(open_store().records(pytest.fail))
    assert bool(published) == ("nothing was published" not in why)
    ending = run.ending()
    assert ending is not None
    assert (ending.state, ending.exit_code) == ("stopped", code)
    done = [e["step"] for e in events_of(run.folder) if e["event"] == "metric"]
    steps = run.checkpoints().steps()
    if phase in ("train", "validation", "score"):  # what was finished is saved
        assert steps
        assert steps[0] >= max(done)
        assert took < 20
    faulty("slow 0")
    wanted, found = never_stopped(alpaca), gone_on_with(run)
    assert (found.digest, found.losses, found.validation) == (wanted.digest, wanted.losses, wanted.validation)
    mine = [record for record in open_store().records(pytest.fail) if record.run == run.name]
    assert len(mine) == 1
    figures(f"left {took:.2f} s after {number.name} in {phase}, with checkpoints {steps}; ended with the same")


@pytest.mark.slow
def test_a_second_signal_leaves_at_once(fronts: Callable[..., Front], figures: Callable[[str], None]) -> None:
    """The worker is in a micro-batch of ten minutes: a first one asks it to stop, and a second one ends it."""
    front = fronts("stuck 4")
    run = front.run()
    front.told(run, "metric", step=1)
    time.sleep(1)
    worker = front.worker()
    front.process.send_signal(signal.SIGINT)
    front.until(lambda: "Ctrl-C again ends it at once" in front.said)
    time.sleep(0.5)
    assert front.process.poll() is None
    assert worker.is_running()
    asked = time.monotonic()
    front.process.send_signal(signal.SIGINT)
    assert front.left(10) == 130
    took = time.monotonic() - asked
    assert took < 3
    assert gone(worker, 1)
    assert f"graftlm runs resume {run.name}" in front.said.strip().splitlines()[-1]
    figures(f"left {took:.2f} s after the second signal")


@pytest.mark.slow
def test_a_second_signal_while_the_first_is_told(home: Path, alpaca: Path, faulty: Callable[[str], None]) -> None:
    """Wherever it comes, no worker is left behind."""
    faulty("stuck 3")
    plan = resolve(RunConfig(data=str(alpaca), **ASKED), registry())

    def hear(event: Any) -> None:
        if event["event"] == "metric" or "Ctrl-C again" in event.get("message", ""):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="stopped by SIGINT"):
        carry_out(plan, registry(), hear)
    assert not workers_of(os.getpid())


@pytest.mark.slow
def test_a_terminal_s_ctrl_c_reaches_the_front_only(
    home: Path, faulty: Callable[[str], None], alpaca: Path, figures: Callable[[str], None]
) -> None:
    """The byte 3 is typed into a real terminal: its foreground process group has the front, and not the worker."""
    faulty(f"slow {SLOW}")
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["OMP_NUM_THREADS"] = "1"
        heeding()  # tests in the background ignore Ctrl-C
        os.execv(sys.executable, [sys.executable, "-c", MAIN, "train", str(alpaca), *arguments()])
    shown = b""
    front = psutil.Process(pid)
    os.set_blocking(terminal, False)

    def read() -> bytes:
        nonlocal shown
        try:
            shown += os.read(terminal, 1 << 16)
        except (BlockingIOError, OSError):
            time.sleep(0.01)
        return shown

    try:
        end = time.monotonic() + PATIENCE
        while b" 1/4 " not in read() and b" 2/4 " not in shown:
            assert time.monotonic() < end, shown
        (worker,) = workers_of(pid)
        assert os.getsid(worker.pid) != os.getsid(pid) == pid
        os.write(terminal, b"\x03")
        while not (found := os.waitpid(pid, os.WNOHANG))[0]:
            read()
            assert time.monotonic() < end, shown
        for _ in range(20):
            read()
    finally:
        if front.is_running() and front.status() != psutil.STATUS_ZOMBIE:
            front.kill()
        os.close(terminal)
    assert os.waitstatus_to_exitcode(found[1]) == 130, shown
    assert gone(worker, 5)
    assert b"graftlm runs resume" in shown
    assert b"Traceback" not in shown
    figures("Ctrl-C in a terminal: exit code 130, the worker was asked by the front alone")


@pytest.mark.parametrize(
    "how", [signal.SIGKILL, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)], ids=["SIGKILL", "SIGHUP"]
)
def test_the_supervisor_s_death_stops_the_worker(
    fronts: Callable[..., Front],
    faulty: Callable[[str], None],
    alpaca: Path,
    how: signal.Signals,
    figures: Callable[[str], None],
) -> None:
    """It saves its last step and leaves; whoever goes on at once waits for that."""
    front = fronts(f"slow {SLOW}")
    run = front.run()
    front.told(run, "metric", step=2)
    worker = front.worker()
    front.process.send_signal(how)
    assert front.left() == (-how if how == signal.SIGKILL else 128 + how)
    asked = time.monotonic()
    assert gone(worker, 20)
    took = time.monotonic() - asked
    assert run.checkpoints().newest() is not None
    assert run.checkpoints().steps()[0] >= 2
    faulty("slow 0")
    wanted, found = never_stopped(alpaca), gone_on_with(run)
    assert (found.digest, found.losses, found.validation) == (wanted.digest, wanted.losses, wanted.validation)
    figures(f"the worker left {took:.2f} s after its supervisor's {how.name}, with a checkpoint; ended with the same")


@pytest.mark.slow
def test_two_workers_are_never_at_work(
    fronts: Callable[..., Front], faulty: Callable[[str], None], alpaca: Path, figures: Callable[[str], None]
) -> None:
    """The supervisor is killed while its worker is in a long micro-batch, and the run gone on with at once."""
    front = fronts("slow 3")
    run = front.run()
    front.told(run, "metric", step=1)
    worker = front.worker()
    front.process.kill()
    front.left()
    faulty("slow 0")
    heard: list[str] = []
    overlap = False

    def hear(event: Any) -> None:
        nonlocal overlap
        heard.append(str(event.get("message", "")))
        overlap |= event["event"] in ("resumed", "effective", "metric") and not gone(worker, 0)

    found = supervise(run, registry(), hear).outcome
    assert not overlap
    assert any("an earlier worker of this run is just leaving" in told for told in heard)
    assert found.losses == never_stopped(alpaca).losses
    figures("a second worker waited until the first had left")


def test_a_second_supervisor_is_refused(fronts: Callable[..., Front]) -> None:
    front = fronts(f"slow {SLOW}")
    run = front.run()
    front.told(run, "hello")
    code = (
        "import sys; from graftlm_registry.runs import find_run; from graftlm.running.supervise import supervise;"
        "from graftlm_registry.plugins import registry; supervise(find_run(sys.argv[1]), registry(), print)"
    )
    done = subprocess.run([sys.executable, "-c", code, run.name], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"is being carried out by process {front.process.pid}" in done.stderr
    assert not [e for e in events_of(run.folder) if like(e, "failed", {})]
    assert json.loads((run.folder / "lock").read_text())["process"] == front.process.pid
