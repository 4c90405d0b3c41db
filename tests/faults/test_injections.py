"""Numbers that are none stop a run within a step; memory that runs out makes it take smaller micro-batches."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from stopped_runs import differences, plan_of

from graftlm.contracts.errors import OutOfMemory, RunError
from graftlm.contracts.outcome import Outcome
from graftlm.running import worker_process
from graftlm.running.out_of_memory import kills
from graftlm.running.run_events import events_of
from graftlm.running.supervise import supervise
from graftlm.running.train import carry_out, prepare
from graftlm.running.worker_process import run_worker
from graftlm.testing.in_process import start_in_process
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry
from graftlm_registry.runs import Run, find_run

Faulty = Callable[[str], None]


def plan(rows: Path, **asked: Any) -> Any:
    return plan_of(rows, **{"accelerator": "sdpa+faulty", "dropout": None, **asked})


def trained(rows: Path, start: Any = start_in_process, **asked: Any) -> tuple[Outcome, list[Mapping[str, Any]]]:
    heard: list[Mapping[str, Any]] = []
    return carry_out(plan(rows, **asked), registry(), heard.append, start=start).outcome, heard


def last_run() -> Run:
    return find_run("last")


# Numbers that are none


@pytest.mark.parametrize(
    ("fault", "step", "said"),
    [
        ("nan-loss 6", 3, "the loss is nan"),
        ("inf-loss 5", 3, "the loss is inf"),
        ("nan-gradient 6", 3, "the gradient norm nan"),
        ("inf-gradient 5", 3, "the gradient norm inf"),
        ("nan-weight 3", 3, "the optimizer made"),
        ("inf-weight 6", 6, "the optimizer made"),
        ("nan-loss 1", 1, "the loss is nan"),
        ("nan-weight 1", 1, "the optimizer made"),
    ],
)
def test_a_number_that_is_none_stops_the_run_within_a_step(
    home: Path, alpaca: Path, faulty: Faulty, fault: str, step: int, said: str
) -> None:
    """It names the step, samples, and what to try; nothing is published, and no checkpoint is of that step."""
    faulty(fault)
    with pytest.raises(RunError) as error:
        trained(alpaca, optimizer="faulty-adamw")
    sentence = str(error.value)
    assert said in sentence
    assert f"at step {step} (samples " in sentence
    assert "--learning-rate" in sentence
    assert "fp32" in sentence
    run = last_run()
    metrics = [event["step"] for event in events_of(run.folder) if event["event"] == "metric"]
    assert metrics == list(range(1, step))
    assert not list(open_store().records(pytest.fail))
    assert all(done < step for done in run.checkpoints().steps())
    ending = run.ending()
    assert ending is not None
    assert ending.state == "failed"
    assert "runs resume" not in sentence, "it would come to the same"
    assert f"what it did is kept: graftlm runs show {run.name}" in sentence


def test_a_run_that_stopped_so_goes_on_from_before(home: Path, alpaca: Path, faulty: Faulty) -> None:
    """Where it was no matter of the data, as a bit that flipped, the run ends as if it had not been."""
    faulty("")
    wanted, _ = trained(alpaca)
    faulty("nan-gradient 10")
    with pytest.raises(RunError, match="at step 5"):
        trained(alpaca)
    faulty("")
    run = last_run()
    assert run.checkpoints().steps()[0] == 4
    assert differences(wanted, supervise(run, registry(), lambda event: None, start=start_in_process).outcome) == {}


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_it_stops_in_other_precisions_too(home: Path, alpaca: Path, faulty: Faulty, dtype: str) -> None:
    faulty("nan-loss 5")
    with pytest.raises(RunError, match=r"the loss is nan .*at step 3 \(samples"):
        trained(alpaca, dtype=dtype)
    assert not list(open_store().records(pytest.fail))


def test_an_overflow_now_and_then_is_no_fault_in_fp16(home: Path, alpaca: Path, faulty: Faulty) -> None:
    faulty("inf-gradient 5")
    outcome, heard = trained(alpaca, dtype="fp16")
    assert len(outcome.losses) == 6
    norms = {event["step"]: event["gradient_norm"] for event in heard if event["event"] == "metric"}
    assert norms[3] == float("inf")


def test_a_spike_is_marked(home: Path, alpaca: Path, faulty: Faulty) -> None:
    """In the outcome and in the step's event; the run goes on."""
    faulty("spike 12")
    outcome, heard = trained(alpaca, max_steps=16, batch_size=4, micro_batch=4, learning_rate=1e-4)
    (found,) = outcome.spikes
    assert (found.step, found.loss) == (12, outcome.losses[11])
    assert found.loss > 1.5 * found.usual
    marked = {e["step"]: e["usual_loss"] for e in heard if e["event"] == "metric" and "usual_loss" in e}
    assert marked == {12: found.usual}


# Memory


def effective(outcome: Outcome) -> tuple[int, tuple[int, ...]]:
    return outcome.effective.micro_batch, outcome.too_large


EACH = ["no-memory", pytest.param("no-cpu-memory", marks=pytest.mark.slow)]


@pytest.mark.parametrize("fault", EACH)
def test_where_memory_runs_out_smaller_micro_batches_are_taken(
    home: Path, alpaca: Path, faulty: Faulty, fault: str, figures: Callable[[str], None]
) -> None:
    """Real workers: one that ran out leaves, and the next one begins clean."""
    faulty(f"{fault} 2")
    outcome, heard = trained(alpaca, start=run_worker, batch_size=8, micro_batch=None, max_steps=4)
    assert effective(outcome) == (2, (8, 4))
    told = [event["message"] for event in heard if event["event"] == "warning"]
    assert [t for t in told if "no memory for micro-batches of 8: going on with 4" in t]
    assert [t for t in told if "no memory for micro-batches of 4: going on with 2" in t]
    faulty("")
    asked, _ = trained(alpaca, batch_size=8, micro_batch=2, max_steps=4)
    assert (outcome.digest, outcome.losses, outcome.validation) == (asked.digest, asked.losses, asked.validation)
    figures("8 and 4 were too large; with 2 the losses and the digest of a run that was told 2")


def test_a_later_step_that_needs_more_goes_on_from_its_checkpoint(home: Path, alpaca: Path, faulty: Faulty) -> None:
    """The first two steps are as they were; only the ones after are cut smaller."""
    plain = plan(alpaca, batch_size=8, micro_batch=None, max_steps=4)
    faulty("")
    run = prepare(plain, registry())
    seen = 0

    def start(job: str, folder: Path, on_event: Any, /, at: Any = None) -> Any:
        nonlocal seen
        seen += job == "train"
        if seen == 1:
            return _stopped_at(3, job, folder, on_event)
        return start_in_process(job, folder, on_event)

    outcome = supervise(run, registry(), lambda event: None, start=start).outcome
    assert effective(outcome) == (4, (8,))
    assert outcome.resumed == (2,)
    whole, _ = trained(alpaca, batch_size=8, micro_batch=8, max_steps=4)
    assert outcome.losses[:2] == whole.losses[:2]
    assert outcome.losses == pytest.approx(whole.losses, rel=1e-3)


def _stopped_at(step: int, job: str, folder: Path, on_event: Any) -> Any:
    """A worker that runs out of memory in that step."""
    from stopped_runs import Watch, watching

    class Full(Watch):
        def pass_by(self, moment: str) -> None:
            self.seen.append(moment)
            if self.seen.count("micro-batch") == step:
                raise OutOfMemory("there was none")

    with watching(Full()):
        return start_in_process(job, folder, on_event)


@pytest.mark.slow
def test_one_sample_that_is_too_much_is_one_sentence(home: Path, alpaca: Path, faulty: Faulty) -> None:
    faulty("no-memory 0")
    with pytest.raises(OutOfMemory, match=r"no memory for micro-batches of 1: try .*--gradient-checkpointing") as error:
        trained(alpaca, start=run_worker, batch_size=2, micro_batch=None, max_steps=2)
    assert error.value.exit_code == 1
    assert "--micro-batch" not in str(error.value)


@pytest.mark.parametrize("fault", EACH)
def test_a_micro_batch_that_was_asked_for_stays(home: Path, alpaca: Path, faulty: Faulty, run: Any, fault: str) -> None:
    faulty(f"{fault} 2")
    said = run(
        "train", alpaca, "--model", "tiny-mistral", "--micro-batch", "8", "--batch-size", "8", "--max-steps", "2",
        "--accelerator", "sdpa+faulty", "--no-retention",
    )  # fmt: skip
    assert said.code == 1
    (sentence,) = [line for line in said.err.splitlines() if line.startswith("Error: ")]
    assert "no memory for micro-batches of 8: try --micro-batch 4 (or leave it out)" in sentence
    assert not list(open_store().records(pytest.fail))


def test_a_worker_that_the_kernel_killed_ran_out_of_memory(
    home: Path, alpaca: Path, faulty: Faulty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the kernel's counter, in a file of the test's own."""
    counter = tmp_path / "memory.events"
    counter.write_text("oom_kill 3\n")
    monkeypatch.setenv("GRAFTLM_KILLS", str(counter))
    monkeypatch.setattr(worker_process, "kills", lambda: kills(counter))
    faulty("killed 4")
    outcome, _ = trained(alpaca, start=run_worker, batch_size=8, micro_batch=None, max_steps=2)
    assert effective(outcome) == (4, (8,))
    assert counter.read_text() == "oom_kill 4\n"


@pytest.mark.slow
def test_a_worker_that_somebody_killed_did_not(home: Path, alpaca: Path, faulty: Faulty, tmp_path: Path) -> None:
    """No counter rose: it is not taken for a lack of memory, and the run is left to be gone on with."""
    (tmp_path / "counter").write_text("oom_kill 0\n")
    faulty("killed 4")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAFTLM_KILLS", str(tmp_path / "counter"))
        patch.setattr(worker_process, "kills", lambda: 0)
        with pytest.raises(RunError, match="the worker died") as error:
            trained(alpaca, start=run_worker, batch_size=8, micro_batch=None, max_steps=2)
    assert not isinstance(error.value, OutOfMemory)


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group of version 1 that may take 1.2 GiB."""
    folder = Path("/sys/fs/cgroup/memory") / f"graftlm-test-{os.getpid()}"
    try:
        folder.mkdir()
        for name in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"):
            if (folder / name).exists():
                (folder / name).write_text(str(1200 << 20))
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    yield folder
    folder.rmdir()


@pytest.mark.slow
def test_the_kernel_kills_a_worker_for_memory(
    home: Path, alpaca: Path, faulty: Faulty, group: Path, figures: Callable[[str], None]
) -> None:
    """Really: a front in a control group whose memory a micro-batch of 8 goes beyond."""
    faulty("ballast 4")
    inside = 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"'
    command = [
        "sh", "-c", inside, "sh", str(group), sys.executable, "-c", "from graftlm.entry import main; main()", "train",
        str(alpaca), "--model", "tiny-mistral", "--max-steps", "2", "--batch-size", "8", "--accelerator", "sdpa+faulty",
        "--no-retention", "--device", "cpu", "--json",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    killed = int((group / "memory.oom_control").read_text().split()[-1])
    assert killed >= 1
    assert "no memory for micro-batches of 8: going on with 4 in a new process" in done.stderr
    outcome = last_run().outcome()
    assert outcome is not None
    assert effective(outcome) == (4, (8,))
    figures(f"the kernel killed {killed} worker, and the run ended with micro-batches of 4")


def test_counters_are_read_as_the_kernel_writes_them(tmp_path: Path) -> None:
    two = tmp_path / "memory.events"
    two.write_text("low 0\nhigh 12\nmax 3\noom 2\noom_kill 2\noom_group_kill 0\n")
    one = tmp_path / "memory.oom_control"
    one.write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 5\n")
    assert (kills(two), kills(one), kills(tmp_path / "none")) == (2, 5, 0)
    assert kills(tmp_path / "none", one, two) == 5, "the first that tells"
