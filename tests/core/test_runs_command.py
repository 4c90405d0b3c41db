"""``graftlm runs``: what is said of runs in every state, and what can be done with them."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Said

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import Interrupted, RunError, UsageError
from graftlm.planning.resolve import resolve
from graftlm.running.jobs import read_job, write_job
from graftlm.running.resuming import resume
from graftlm.running.run_events import last_step
from graftlm.running.supervise import supervise
from graftlm.running.train import Trained, prepare
from graftlm.testing.in_process import start_in_process
from graftlm.worker.events import Events
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry
from graftlm_registry.runs import Run, all_runs, status_of
from graftlm_registry.runs.ending import Ending, forget_ending, write_ending
from graftlm_registry.runs.supervisor import supervising
from graftlm_registry.runs.usage import freed_by

Call = Callable[..., Said]
STEPS = 6


def prepared(rows: Path, **asked: Any) -> Run:
    settings = {"model": "tiny-falcon", "max_steps": STEPS, "retention": False, "device": "cpu", "name": "skill"}
    settings |= {"checkpoint_minutes": 0.0, "checkpoint_every": 2, "test_split": 0.0, "val_split": 0.2}
    return prepare(resolve(RunConfig(data=str(rows), **{**settings, **asked}), registry()), registry())


def stopped_after(step: int, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by SIGTERM, just after the worker has told of this step."""
    send = Events.send

    def then_stop(events: Events, event: str, **fields: Any) -> None:
        send(events, event, **fields)
        if event == "metric" and fields["step"] == step:
            events._signal = 15

    with monkeypatch.context() as patched:
        patched.setattr(Events, "send", then_stop)
        with pytest.raises(Interrupted, match="stopped by SIGTERM; nothing was published") as told:
            finish(run)
    assert f"it goes on after step {step} of {STEPS}: graftlm runs resume {run.name}" in str(told.value)


def finish(run: Run) -> Trained:
    return supervise(run, registry(), lambda event: None, start=start_in_process)


def copy(run: Run, name: str, **ending: Any) -> Run:
    """The same run once more, left otherwise."""
    shutil.copytree(run.folder, other := run.folder.with_name(name))
    write_job(other, replace(read_job(other), run=name, staged=str(other / "staged")))
    forget_ending(other)
    if ending:
        write_ending(other, Ending(**ending))
    return Run(other)


@pytest.fixture
def stopped(home: Path, alpaca: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    run = prepared(alpaca)
    stopped_after(3, run, monkeypatch)
    return run


def states(run: Call, *arguments: str) -> dict[str, dict[str, Any]]:
    said = run("runs", "list", "--json", *arguments)
    assert said.code == 0, said.err
    return {row["run"]: row for row in json.loads(said.out)}


def test_each_state_is_listed_and_shown(run: Call, stopped: Run, home: Path) -> None:
    lost = copy(stopped, "20200101-000000-aaaaaa")
    failed = copy(stopped, "20200102-000000-bbbbbb", state="failed", message="the disk is full", exit_code=2)
    running = copy(stopped, "20200103-000000-cccccc")
    done = copy(stopped, "20200104-000000-dddddd")
    finish(done)
    with supervising(running.folder):
        found = states(run)
        shown = run("runs", "show", running.name)
    assert [found[r.name]["state"] for r in (stopped, done, running, failed, lost)] == [
        "stopped", "done", "running", "failed", "lost",
    ]  # fmt: skip
    assert list(found) == [stopped.name, done.name, running.name, failed.name, lost.name]  # the newest first
    for row in (found[stopped.name], found[lost.name]):
        assert (row["step"], row["steps"], row["adapter"], row["model"]) == (3, STEPS, "skill", "tiny-falcon")
        assert row["loss"] == pytest.approx(last_step(stopped.folder)[1])
        assert row["bytes"] > 10_000
    assert (found[done.name]["adapter"], found[done.name]["step"], found[done.name]["bytes"]) == ("skill@1", STEPS, 0)
    assert f"process {os.getpid()}" in shown.out
    assert f"graftlm runs stop {running.name}" in shown.out
    assert set(states(run, "--state", "lost")) == {lost.name, running.name}  # nobody holds its lock any more
    assert run("runs", "list", "--state", "running").out == "no run is running\n"
    assert "the disk is full" in run("runs", "show", failed.name).out
    assert "its process was killed" in run("runs", "show", "aaaaaa").out
    table = run("runs", "list").out.splitlines()
    assert [line.split()[1] for line in table[1:]] == ["stopped", "done", "lost", "failed", "lost"]


def test_all_of_a_run_is_shown(run: Call, stopped: Run) -> None:
    damaged = stopped.checkpoints().of(2) / "weights.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    said = run("runs", "show", "last").out
    assert "step 3: verified" in said
    assert "step 2: damaged" in said
    assert f"after step 3 of {STEPS}" in said
    assert f"graftlm runs resume {stopped.name}" in said
    found = json.loads(run("runs", "show", "last", "--json").out)
    assert [(each["step"], bool(each["problem"])) for each in found["checkpoints"]] == [(3, False), (2, True)]
    assert (found["state"], found["ending"]["message"]) == ("stopped", "stopped by SIGTERM")
    assert Path(found["files"]["events"]).is_file()

    resume(stopped, registry(), lambda event: None, start=start_in_process)
    after = json.loads(run("runs", "show", "skill@1", "--json").out)
    assert (after["run"], after["state"], after["resumed_after_steps"]) == (stopped.name, "done", [3])
    assert after["checkpoints"] == []
    assert {Path(after["files"][name]).name for name in ("picture", "summary")} == {"loss.png", "summary.json"}
    assert "once, after step 3" in run("runs", "show", "skill@1").out


def test_a_run_that_was_gone_on_with_makes_the_same_adapter(
    run: Call, alpaca: Path, stopped: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = finish(prepared(alpaca)).record
    monkeypatch.setattr("graftlm.running.resuming.supervise", in_process)
    said = run("runs", "resume", stopped.name)
    assert said.code == 0, said.err
    assert said.out.startswith(f"{stopped.name} (skill) goes on after step 3 of {STEPS}\n")
    assert "stopped, and gone on with after step 3" in said.out
    lines = said.out.splitlines()
    assert lines[-3] == "kept as skill@2"
    assert Path(lines[-2].partition(": ")[2]).name == "loss.png"
    assert Path(lines[-1].partition(": ")[2]).name == "summary.json"
    assert all(Path(line.partition(": ")[2]).is_file() for line in lines[-2:])
    assert open_store().get("skill@2").digest == whole.digest
    again = run("runs", "resume", stopped.name)
    assert (again.code, again.err) == (2, f"Error: run {stopped.name} is finished: it made skill@2\n")


def in_process(*arguments: Any, **words: Any) -> Trained:
    return supervise(*arguments, **{**words, "start": start_in_process})


def test_another_stack_is_refused_unless_it_is_asked_for(run: Call, stopped: Run) -> None:
    write_job(stopped.folder, read_job(stopped.folder), code="0" * 64)
    told: list[Any] = []
    with pytest.raises(RunError, match="has another graftlm than the plan was made with"):
        resume(stopped, registry(), told.append, start=start_in_process)
    assert status_of(stopped).state == "failed"
    made = resume(stopped, registry(), told.append, any_stack=True, start=start_in_process)
    assert made.outcome.resumed == (3,)
    assert any("another graftlm" in event["message"] for event in told if event["event"] == "warning")


def test_what_no_checkpoint_says_is_said(run: Call, alpaca: Path, stopped: Run, home: Path) -> None:
    """A run that waits for its proof; one that has no checkpoint; one whose backend keeps none."""
    shutil.rmtree(stopped.folder / "checkpoints")
    assert "from the beginning (there is no checkpoint yet)" in run("runs", "show", "last").out
    time.sleep(1.1)  # names of runs begin with a second
    other = prepared(alpaca, backend="trainer", checkpoint_every=None, checkpoint_minutes=None)
    said = run("runs", "show", "last").out
    assert other.name in said
    assert "from the beginning (backend trainer keeps no checkpoints)" in said


def test_logs_are_copied(run: Call, stopped: Run) -> None:
    (stopped.folder / "log.txt").write_bytes(b"one\ntwo \xff")
    assert run("runs", "logs", "last").out.encode(errors="replace")[:8] == b"one\ntwo "
    events = [json.loads(line) for line in run("runs", "logs", "last", "--events").out.splitlines()]
    assert [e["step"] for e in events if e["event"] == "metric"] == [1, 2, 3]
    said = run("runs", "logs", "last", "--follow")  # it is over: what there is, and how it ended
    assert "one\ntwo " in said.out
    assert f"{stopped.name} is stopped: stopped by SIGTERM" in said.err
    (stopped.folder / "log.txt").write_bytes(b"")
    assert run("runs", "logs", "last") == Said(0, "", "its libraries printed nothing (--events shows what happened)\n")


def test_runs_are_removed_and_their_adapters_stay(run: Call, stopped: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    done = copy(stopped, "20200104-000000-dddddd")
    finish(done)
    asked = run("runs", "rm", stopped.name, "skill@1")
    assert (asked.code, len(list(all_runs()))) == (2, 2)
    assert "nobody answered: give --yes" in asked.err
    assert f"finished: {done.name}. Their adapters stay, but 'graftlm repair'" in asked.err
    assert f"not finished: {stopped.name}. What was removed cannot be gone on with" in asked.err
    with supervising(stopped.folder):
        refused = run("runs", "rm", "skill@1", stopped.name, "--yes")
    assert refused.code == 2
    assert f"{stopped.name} is running, and nothing was removed" in refused.err
    assert len(list(all_runs())) == 2
    size = freed_by([stopped.folder])
    assert size > 10_000
    assert run("runs", "rm", "last", "--yes").out.startswith(f"removed {stopped.name}: ")
    assert [each.name for each in all_runs()] == [done.name]
    assert run("runs", "rm", "skill@1", "--yes").code == 0
    assert open_store().get("skill@1").run == done.name
    assert list((done.folder.parent).iterdir()) == []


def test_old_runs_are_removed_but_none_that_is_running(run: Call, stopped: Run) -> None:
    old = copy(stopped, "20200101-000000-aaaaaa")
    busy = copy(stopped, "20200102-000000-bbbbbb")
    for each in (old, busy):
        for name in ("events.jsonl", "plan.json"):
            os.utime(each.folder / name, (0, time.time() - 5 * 86_400))
    assert run("runs", "rm", "--older-than", "6").out == "no run is older than 6 days\n"
    with supervising(busy.folder):
        assert run("runs", "rm", "--older-than", "4", "--yes").code == 0
    assert [each.name for each in all_runs()] == [stopped.name, busy.name]


def test_only_what_is_the_run_s_own_counts_as_freed(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "run"
    folder.mkdir()
    elsewhere.write_bytes(b"x" * 1000)
    os.link(elsewhere, folder / "rows")
    (folder / "weights").write_bytes(b"x" * 100)
    os.link(folder / "weights", folder / "best")
    assert freed_by([folder]) == 100


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "nope"), "unknown run 'nope'"),
        (("show", ""), "unknown run ''"),
        (("show", "../../etc"), "unknown run '../../etc'"),
        (("resume", "skill@9"), "unknown run 'skill@9'"),
        (("stop", "last"), "is not running: it is stopped"),
        (("rm",), "give runs to remove, or --older-than DAYS"),
        (("rm", "last", "--older-than", "3"), "give runs to remove, or --older-than DAYS"),
        (("rm", "--older-than", "nan"), "give a number of days"),
        (("rm", "--older-than", "-1"), "not in the range"),
        (("list", "--state", "gone"), "'gone' is not one of"),
        (("logs",), "Missing argument 'RUN'"),
    ],
)
def test_odd_input_is_a_sentence(run: Call, stopped: Run, arguments: tuple[str, ...], said: str) -> None:
    found = run("runs", *arguments)
    assert found.code == 2
    assert said in found.err
    assert "Traceback" not in found.err


def test_without_runs_there_is_a_word(run: Call) -> None:
    assert run("runs", "list").out == "no runs yet: graftlm train DATA --model M\n"
    assert run("runs", "list", "--json").out == "[]\n"
    found = run("runs", "show", "last")
    assert (found.code, "no run is kept in" in found.err) == (2, True)


def test_a_run_of_an_earlier_graftlm_is_listed_and_not_gone_on_with(run: Call, stopped: Run) -> None:
    (stopped.folder / "job.json").unlink()
    (stopped.folder / "plan.json").write_text('{"name": 5}', encoding="utf-8")
    assert states(run)[stopped.name]["adapter"] == "?"
    assert run("runs", "show", "last").code == 0
    found = run("runs", "resume", "last")
    assert (found.code, "begun by an earlier graftlm" in found.err) == (2, True)


def test_a_number_that_is_another_process_by_now_is_not_stopped(run: Call, stopped: Run) -> None:
    """The lock is held, and what stands in it names a process that has nothing to do with the run."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as bystander:
        try:
            with supervising(stopped.folder):
                told = {"process": bystander.pid, "detached": False, "since": 0.0}
                (stopped.folder / "lock").write_text(json.dumps(told), encoding="utf-8")
                said = run("runs", "stop", "last")
                assert said.code == 2
                assert f"process {bystander.pid} of another machine, container or user" in said.err
            time.sleep(0.2)
            assert bystander.poll() is None
        finally:
            bystander.kill()


def test_the_last_step_is_found_from_the_end(tmp_path: Path) -> None:
    """However long the file, whatever stands behind it, and not beyond where the run was gone on with."""

    def write(*events: dict[str, Any]) -> None:
        (tmp_path / "events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events), encoding="utf-8")

    def metric(step: int) -> dict[str, Any]:
        return {"event": "metric", "time": 1.0, "step": step, "loss": step / 4}

    assert last_step(tmp_path) == (0, None)
    filling = [{"event": "warning", "time": 1.0, "message": "x" * 50_000}] * 3
    write(metric(1), metric(2), *filling)
    assert last_step(tmp_path) == (2, 0.5)
    resumed = {"event": "resumed", "time": 1.0, "step": 1, "steps": 9}
    write(metric(1), metric(2), *filling, resumed)
    assert last_step(tmp_path) == (1, 0.25)
    write(metric(1), metric(2), resumed, metric(2), metric(3), *filling)
    assert last_step(tmp_path) == (3, 0.75)
    with (tmp_path / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(metric(4))[:-9])  # cut short
    assert last_step(tmp_path) == (3, 0.75)


def test_the_python_api_goes_on(home: Path, stopped: Run) -> None:
    import graftlm

    with pytest.raises(UsageError, match="unknown run 'nope'"):
        graftlm.resume("nope")
    outcome = graftlm.resume("last")
    assert (outcome.adapter, outcome.resumed, len(outcome.losses)) == ("skill@1", (3,), STEPS)
