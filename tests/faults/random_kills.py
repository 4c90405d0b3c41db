"""Runs that are killed at random moments and gone on with, again and again, each until it ends.

    python tests/faults/random_kills.py KILLS SEED FOLDER

Supervisors and workers are processes of their own, forked off this one, which never trains. A kill is kill -9 of the
worker, of its supervisor, or of both, after a time drawn from the whole life of an attempt. Prints JSON at the end.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("worker", "supervisor", "both")
PLANS: tuple[dict[str, Any], ...] = (
    {"model": "tiny-mistral", "dropout": 0.1, "neftune_alpha": 5.0, "keep": "best"},
    {"model": "tiny-qwen", "dtype": "bf16", "method": "full"},
    {"model": "tiny-falcon", "dtype": "fp16", "dropout": 0.05, "early_stopping": 3},
)


@dataclass
class Counts:
    kills: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    resumes: int = 0
    verified: int = 0
    cut_short: int = 0
    told: list[str] = field(default_factory=list)


def main(arguments: Sequence[str]) -> int:
    kills, seed, folder = int(arguments[0]), int(arguments[1]), Path(arguments[2])
    from forked_workers import fork_workers, import_what_workers_need

    import_what_workers_need()
    fork_workers()
    counts = Campaign(folder, random.Random(seed)).carry_out(kills)
    print(json.dumps({**vars(counts), "seed": seed}), flush=True)
    return 1 if counts.told else 0


class Campaign:
    def __init__(self, folder: Path, draw: random.Random) -> None:
        self.folder, self.draw, self.counts, self.before = folder, draw, Counts(), 0
        self.data = folder / "data.jsonl"
        rows = [{"instruction": "Name the colour.", "input": f"thing {i}", "output": ("red", "blue")[i % 2]}
                for i in range(60)]  # fmt: skip
        self.data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def carry_out(self, kills: int) -> Counts:
        """Of every plan a run never killed; then runs of them in turn until there were as many kills."""
        known = []
        for i, asked in enumerate(PLANS):
            began = time.monotonic()
            run = self.prepared(f"plan-{i}", asked)
            self.attempt(run, None)
            known.append((run.outcome(), time.monotonic() - began))
            assert known[-1][0] is not None, (run.folder / "said.txt").read_text()
        while sum(self.counts.kills.values()) < kills and not self.counts.told:
            i = self.counts.runs % len(PLANS)
            self.counts.runs += 1
            self.one_run(f"plan-{i}", PLANS[i], *known[i])
        return self.counts

    def prepared(self, name: str, asked: dict[str, Any]) -> Any:
        from graftlm.contracts.config import RunConfig
        from graftlm.planning.resolve import resolve
        from graftlm.running.train import prepare
        from graftlm_registry.plugins import registry

        shutil.rmtree(self.folder / "cache" / "encoded", ignore_errors=True)  # encoding is to be killed, too
        settings: dict[str, Any] = {
            "max_steps": 9, "eval_every": 3, "batch_size": 4, "micro_batch": 2, "val_split": 0.2, "device": "cpu",
            "checkpoint_every": 2, "learning_rate": 3e-3, "retention": False, "name": name,
        }  # fmt: skip
        return prepare(resolve(RunConfig(data=str(self.data), **settings | asked), registry()), registry())

    def one_run(self, name: str, asked: dict[str, Any], wanted: Any, seconds: float) -> None:
        """Killed after times drawn from 0 to a bit more than an attempt takes, until it ended by itself."""
        run = self.prepared(name, asked)
        for attempt in range(40):
            self.attempt(run, self.moment(seconds) if attempt < 30 else None)
            if run.finished:
                break
            self.look(run)
            self.counts.resumes += 1
        self.judge(run, wanted)

    def moment(self, seconds: float) -> Callable[[Any, float], bool]:
        """Half of them by time, and half by what was told: whether it has come, for a run, after some seconds."""
        if self.draw.random() < 0.5:
            after = self.draw.uniform(0, 1.1 * seconds)
            return lambda run, now: now >= after
        lines, more, come = self.draw.randrange(30), self.draw.uniform(0, 0.1), [0.0]

        def there(run: Any, now: float) -> bool:
            if not come[0] and told_in(run) - self.before >= lines:
                come[0] = now + more
            return 0 < come[0] <= now

        return there

    def attempt(self, run: Any, moment: Callable[[Any, float], bool] | None) -> None:
        """A supervisor of the run, killed when its moment has come, or left alone."""
        self.before = told_in(run)
        target = self.draw.choice(TARGETS)
        pid = os.fork()
        if pid == 0:
            supervise_and_exit(run)
        if moment is None:
            os.waitpid(pid, 0)
            return
        began = time.monotonic()
        while not moment(run, time.monotonic() - began):
            if os.waitpid(pid, os.WNOHANG)[0]:
                return  # it was faster
            time.sleep(0.002)
        phase = self.phase(run)
        workers = children_of(pid)
        hit = ([pid] if target != "worker" else []) + (workers if target != "supervisor" else [])
        for process in hit:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if hit:
            self.counts.kills[target] += 1
            self.counts.phases[phase] += 1
        elif target == "worker":  # there is none just now
            self.counts.kills["supervisor"] += 1
            self.counts.phases[phase] += 1
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def phase(self, run: Any) -> str:
        """What the run's worker told last."""
        from graftlm.running.run_events import events_of

        if run.finished:
            return "finished"
        told = list(events_of(run.folder))
        last = told[-1] if told else {"event": ""}
        if len(told) == self.before:
            return "start"
        name = str(last["event"])
        if name == "done":
            return "publish" if "outcome" in last else "encoded"
        return str(last["stage"].split()[0]) if name == "progress" else name

    def look(self, run: Any) -> None:
        """What a kill left: every checkpoint that has a name is whole."""
        from graftlm.contracts.errors import StoreError

        for step in run.checkpoints().steps():
            from graftlm_registry.runs.checkpoints import verified

            path = run.checkpoints().folder / f"step-{step:010}"
            try:
                verified(path)
            except StoreError:
                if path.exists():  # a worker that lost its supervisor saves once more, and takes the oldest away
                    raise
                continue
            self.counts.verified += 1
        hidden = list(run.checkpoints().folder.glob(".*")) if run.checkpoints().folder.is_dir() else []
        self.counts.cut_short += len(hidden)

    def judge(self, run: Any, wanted: Any) -> None:
        from graftlm_registry.adapters import open_store
        from graftlm_registry.adapters.collecting import collect
        from graftlm_registry.runs.folder import sweep

        found = run.outcome()
        if found is None:
            self.counts.told.append(f"{run.name} never ended: {(run.folder / 'said.txt').read_text()}")
            return
        for field_name in ("digest", "losses", "validation", "tokens", "kept_step", "scores", "effective"):
            if getattr(found, field_name) != getattr(wanted, field_name):
                self.counts.told.append(f"{run.name}: another {field_name}")
        store = open_store()
        made = [record.reference for record in store.records(self.counts.told.append) if record.run == run.name]
        if made != [found.adapter]:
            self.counts.told.append(f"{run.name} published {made}")
        collect(store.layout, timedelta(0))
        if left := list(store.layout.staging.iterdir()):
            self.counts.told.append(f"left in the store's staging: {left}")
        if warned := [line for line in warnings_of(run) if "is taken" in line]:
            self.counts.told.append(f"{run.name}: {warned}")
        sweep()  # as the next run does: a supervisor may be killed right before it removes what it needs no more
        if left := [path.name for path in run.folder.iterdir() if path.name in ("checkpoints", "staged", "encoded")]:
            self.counts.told.append(f"left in the run's folder: {left}")


def supervise_and_exit(run: Any) -> None:
    from graftlm.contracts.errors import GraftlmError
    from graftlm.running.supervise import supervise
    from graftlm_registry.plugins import registry

    code = 1
    try:
        with (run.folder / "said.txt").open("a", encoding="utf-8") as said:
            try:
                supervise(run, registry(), lambda event: None)
                code = 0
            except GraftlmError as error:
                print(error, file=said)
            except BaseException:  # noqa: BLE001
                traceback.print_exc(file=said)
    finally:
        os._exit(code)


def told_in(run: Any) -> int:
    """Lines of its events."""
    path = run.folder / "events.jsonl"
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def children_of(pid: int) -> list[int]:
    try:
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:
        return []


def warnings_of(run: Any) -> list[str]:
    from graftlm.running.run_events import events_of

    return [event["message"] for event in events_of(run.folder) if event["event"] == "warning"]


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    sys.exit(main(sys.argv[1:]))
