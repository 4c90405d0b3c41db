"""One run of one cell, in processes of its own, measured."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import GraftlmError, Interrupted, RunError
from graftlm.contracts.outcome import Outcome, Training
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import from_json
from graftlm.contracts.specs import Backend
from graftlm.running.jobs import interpreter_of, lay_out_run, write_job
from graftlm.running.record_draft import draft
from graftlm.running.rows import encode_rows
from graftlm.running.worker_process import OnEvent, StartWorker
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import Registry
from graftlm_registry.runs import make_run

from .cells import Cell
from .rates import Rates
from .results import RunResult, StepFigures
from .same_start import same_start


@dataclass(frozen=True, slots=True)
class Judged:
    """Of a comparison that judges: ``samples`` is the folder for per-sample files, and ``names`` those that the cells'
    adapters are kept by.
    """

    samples: Path
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Bench:
    """What the runs of a comparison share. ``work`` is a folder for them."""

    registry: Registry
    work: Path
    machine: Mapping[str, str]
    git: str
    rates: Rates
    answers: int
    start: StartWorker
    judged: Judged | None = None

    @property
    def log(self) -> Path:
        """Of the last run."""
        return self.work / "log.txt"


def run_once(cell: Cell, plan: Plan, number: int, prove: bool, bench: Bench, on_event: OnEvent) -> RunResult:
    """Train as the plan says, and prove where asked. A run that fails is a result with an error; its log is left in
    ``bench.log``. Raises ``Interrupted`` and ``KeyboardInterrupt``: nothing of such a run is kept.
    """
    run = bench.work / "run"
    shutil.rmtree(run, ignore_errors=True)
    bench.log.unlink(missing_ok=True)
    (run / "scratch").mkdir(parents=True)
    blank = RunResult(
        cell=cell.name, round=number, finished="", settings=cell.settings, plan=plan, machine=bench.machine,
        git=bench.git, rate=bench.rates.get((plan.device, plan.dtype), 0.0),
    )  # fmt: skip
    watch = _Watch(on_event)
    try:
        result = _run(blank, plan, run, prove, bench, watch)
    except (Interrupted, KeyboardInterrupt):
        raise
    except GraftlmError as error:
        first, _, rest = str(error).partition(f" Its log is {run / 'log.txt'}")  # which is not there for long
        result = replace(blank, error=first if rest else str(error), steps=tuple(watch.steps))
    finally:
        if (run / "log.txt").is_file():
            shutil.copyfile(run / "log.txt", bench.log)
        shutil.rmtree(run, ignore_errors=True)
    return replace(
        result,
        finished=datetime.now(UTC).isoformat(timespec="milliseconds"),
        wall_seconds=round(time.perf_counter() - watch.began, 3),
    )


class _Watch:
    """Takes the steps out of the events, and the time of the first."""

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self.began = time.perf_counter()
        self.steps: list[StepFigures] = []
        self.started = self.first = 0.0

    def __call__(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "metric":
            self.first = self.first or time.perf_counter() - self.started
            names = ("loss", "gradient_norm", "seconds", "tokens", "trained", "flops")
            taken = {name: event[name] for name in names}
            norm = event["gradient_norm"] if math.isfinite(event["gradient_norm"]) else None
            self.steps.append(StepFigures(**{**taken, "gradient_norm": norm}))
        self._on_event(event)


def _run(blank: RunResult, plan: Plan, run: Path, prove: bool, bench: Bench, watch: _Watch) -> RunResult:
    staged = run / "staged"
    staged.mkdir()
    job = lay_out_run(plan, bench.registry, run, staged)
    at = interpreter_of(plan, bench.registry)
    write_job(run, job, proves=False, answers=bench.answers)
    encode_rows(plan, run, watch, bench.start)
    inputs = same_start(plan, run, bench.work / "initial", lambda: bench.start("initial", run, watch))
    watch.started = time.perf_counter()
    bench.start("train", run, watch, at=at)
    training = from_json((run / "training.json").read_bytes(), Training, "what training gave")
    done = replace(
        blank,
        inputs=inputs,
        effective=training.effective,
        steps=tuple(watch.steps),
        validation=training.validation,
        first_step_seconds=round(watch.first, 3),
        training_seconds=training.seconds,
        memory=training.memory,
        energy=training.energy,
        adapter_bytes=sum(path.stat().st_size for path in staged.rglob("*") if path.is_file()),
    )
    if not prove or bench.registry.get(Backend, plan.part("backend").name).as_is:
        return done
    outcome = from_json(json.dumps(bench.start("prove", run, watch)["outcome"]), Outcome, "the worker's outcome")
    if outcome.plan_hash != plan.hash:
        raise RunError("the worker carried out another plan")
    answers = json.loads((run / "answers.json").read_bytes()) if bench.answers else []
    done = replace(done, proof=outcome.proof, scores=outcome.scores, changes=outcome.changes, answers=tuple(answers))
    return done if bench.judged is None else _kept(done, plan, outcome, run, bench.judged)


def _kept(done: RunResult, plan: Plan, outcome: Outcome, run: Path, judged: Judged) -> RunResult:
    """The samples beside the results, and the adapter in the store with what ``repair`` needs of its run: nobody trains
    the best one twice.
    """
    folder = judged.samples / f"{judged.names[done.cell]}.r{done.round}"
    shutil.rmtree(folder, ignore_errors=True)
    kept = make_run().folder
    shutil.copyfile(run / "plan.json", kept / "plan.json")
    for place in (folder, kept / "samples"):
        if (run / "samples").is_dir():  # something was scored
            shutil.copytree(run / "samples", place)
    (kept / "scratch").rmdir()
    store = open_store()
    staged = store.stage()
    try:
        shutil.copytree(run / "staged", staged, dirs_exist_ok=True)
        named = replace(plan, name=judged.names[done.cell])
        record = store.publish(staged, draft(named, replace(outcome, run=kept.name), Path(plan.model.folder)))
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return replace(done, adapter=record.reference, samples=f"{judged.samples.name}/{folder.name}")
