"""One plan twice, side by side: a run never stopped, and one killed five times at random and gone on with.

    python tests/faults/half_hour.py [--minutes 30] [--kills 5] [--seed N] [--folder DIR]

Both are real processes with one thread each, and kills are kill -9 of the worker, of its supervisor, or of both. Ends
with exit code 1 unless digests, losses and validation losses are equal, to the last bit.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "benchmarks" / "data" / "long-tailed.jsonl"
SUPERVISE = """
import sys
from graftlm.running.supervise import supervise
from graftlm_registry.plugins import registry
from graftlm_registry.runs import find_run
supervise(find_run(sys.argv[1]), registry(), lambda event: None)
"""
TRIAL = 40
"""Steps of the run that is timed first."""
TARGETS = ("worker", "supervisor", "both")


@dataclass(frozen=True)
class Kill:
    """After the step, and so many seconds more."""

    step: int
    wait: float
    target: str


def prepared(name: str, steps: int) -> Any:
    """A run that waits to be supervised: much that a resume could get wrong is in it."""
    from graftlm.contracts.config import RunConfig
    from graftlm.planning.resolve import resolve
    from graftlm.running.train import prepare
    from graftlm_registry.plugins import registry

    asked = RunConfig(
        data=str(DATA), model="tiny-qwen", name=name, max_steps=steps, device="cpu", deterministic=True, dropout=0.05,
        neftune_alpha=5.0, batch_size=16, micro_batch=8, keep="best", checkpoint_minutes=0.75, retention=False,
    )  # fmt: skip
    return prepare(resolve(asked, registry()), registry())


def supervised(run: Any) -> subprocess.Popen[bytes]:
    with (run.folder / "supervisor.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-c", SUPERVISE, run.name], stdout=log, stderr=log)


def step_of(run: Any) -> int:
    """The last step that was told; 0 before one."""
    from graftlm.running.run_events import events_of

    return max((event["step"] for event in events_of(run.folder) if event["event"] == "metric"), default=0)


def kill(process: subprocess.Popen[bytes], target: str) -> list[str]:
    """kill -9; who was hit."""
    hit = []
    supervisor = psutil.Process(process.pid)
    workers = [child for child in supervisor.children() if "graftlm.worker" in " ".join(child.cmdline())]
    if target in ("supervisor", "both"):
        supervisor.kill()
        hit.append(f"supervisor {supervisor.pid}")
    if target in ("worker", "both"):
        for worker in workers:
            worker.kill()
            hit.append(f"worker {worker.pid}")
    process.wait()
    return hit


def drawn(steps: int, kills: int, draw: random.Random) -> list[Kill]:
    """Each kind at least once, where there are three."""
    kinds = [*TARGETS, *draw.choices(TARGETS, k=max(0, kills - len(TARGETS)))][:kills]
    draw.shuffle(kinds)
    at = sorted(draw.sample(range(2, steps - 1), kills))
    return [Kill(step, draw.uniform(0, 1.5), kind) for step, kind in zip(at, kinds, strict=True)]


def trial() -> float:
    """Seconds a step, of two runs side by side."""
    runs = [prepared(f"trial-{i}", TRIAL) for i in range(2)]
    for process in [supervised(run) for run in runs]:
        assert process.wait() == 0, "the trial failed"
    return max(run.outcome().seconds for run in runs) / TRIAL


def side_by_side(steps: int, kills: list[Kill]) -> bool:
    """Whether both ended with the same."""
    whole, cut = prepared("whole", steps), prepared("cut", steps)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:8.1f} s  {text}", flush=True)

    never = supervised(whole)
    for number, planned in enumerate(kills, start=1):
        process = supervised(cut)
        while step_of(cut) < planned.step:
            assert process.poll() is None, f"it ended by itself: {(cut.folder / 'supervisor.log').read_text()}"
            time.sleep(0.5)
        time.sleep(planned.wait)
        seen = step_of(cut)
        hit = kill(process, planned.target)
        say(f"kill {number}: {' and '.join(hit)} after step {seen}; checkpoints of steps {cut.checkpoints().steps()}")
    assert supervised(cut).wait() == 0, (cut.folder / "supervisor.log").read_text()
    say("the killed run has ended")
    assert never.wait() == 0, (whole.folder / "supervisor.log").read_text()
    say("the run never killed has ended")
    one, other = whole.outcome(), cut.outcome()
    say(f"whole: {len(one.losses)} steps in {one.seconds:.0f} s of training, {one.tokens} tokens, {one.digest}")
    say(f"cut:   {len(other.losses)} steps in {other.seconds:.0f} s of training, {other.tokens} tokens, {other.digest}")
    say(f"cut: gone on with after steps {list(other.resumed)}; last losses {one.losses[-1]!r} and {other.losses[-1]!r}")
    return (one.digest, one.losses, one.validation, one.tokens, one.kept_step) == (
        other.digest, other.losses, other.validation, other.tokens, other.kept_step,
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("MINUTES", "30")))
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="graftlm-half-hour-"))
    os.environ |= {"GRAFTLM_HOME": str(folder), "OMP_NUM_THREADS": "1"}
    print(f"seed {given.seed}, folder {folder}, {os.cpu_count()} cores", flush=True)
    seconds = trial()
    steps = max(20, round(60 * given.minutes / seconds))
    kills = drawn(steps, given.kills, random.Random(given.seed))
    print(f"{seconds:.3f} s a step: {steps} steps; kills: {json.dumps([vars(kill) for kill in kills])}", flush=True)
    same = side_by_side(steps, kills)
    print("the same digest, losses and validation losses" if same else "NOT THE SAME", flush=True)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
