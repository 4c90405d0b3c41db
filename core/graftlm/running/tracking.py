"""The trackers of a run: each in a thread of its own, so that none of them holds training back or fails it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal

from graftlm.contracts.errors import GraftlmError, Interrupted, PluginError
from graftlm.contracts.outcome import Outcome, Training
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import from_json
from graftlm.contracts.tracking import TrackedRun, Tracker, Tracking
from graftlm.planning.plugin_options import own_options
from graftlm_registry.plugins import Registry
from graftlm_registry.runs import Run

from .jobs import trained_already
from .loss_picture import NAMES
from .run_events import steps_of
from .run_results import SUMMARY
from .worker_process import OnEvent

PATIENCE = 30.0
"""Seconds that the trackers have when the run ends, all of them at the same time."""
BEHIND = 100_000
"""Steps that may wait for a tracker: beyond them, it is not going to keep up."""
FIGURES = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "gradient_norm": "gradient_norm",
    "tokens_per_second": "tokens_per_second",
    "memory": "memory",
    "tokens": "tokens_so_far",
    "validation_loss": "validation_loss",
}
"""What a tracker is told of a step, and how the worker calls it."""
State = Literal["done", "stopped", "failed"]
Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class End:
    """What a tracker is told last."""

    state: State
    results: Mapping[str, float]
    files: Sequence[Path]


class Trackers:
    """Those of one run, begun as soon as this is made. ``on_event`` passes events on, and tells the trackers of steps;
    what goes wrong with a tracker is one warning there.
    """

    def __init__(self, run: Run, registry: Registry, on_event: OnEvent) -> None:
        self._on_event = on_event
        self._run = run
        self._warnings: SimpleQueue[str] = SimpleQueue()
        plan = run.plan()
        chosen = [part.name for part in plan.all_parts(Tracker.kind)]
        done = done_before(run) if chosen else 0
        self._followers = [f for name in chosen if (f := self._begun(name, plan, registry, done)) is not None]

    def _begun(self, name: str, plan: Plan, registry: Registry, done: int) -> _Follower | None:
        folder = self._run.folder / "trackers" / name
        try:
            spec = registry.get(Tracker, name)  # it may have gone since the run began
            if against := spec.check(own_options(spec, plan.options)) if spec.check else ():
                raise PluginError("; ".join(against))  # a key, or a place, that this shell lacks
            folder.mkdir(parents=True, exist_ok=True)
        except (GraftlmError, OSError) as error:
            self._warnings.put(_left_out(name, error))
            return None
        tracked = TrackedRun(
            name=self._run.name,
            adapter=plan.name,
            folder=folder,
            settings=flat_settings(plan),
            resumed_after=done,
            options=own_options(spec, plan.options),
        )
        follower = _Follower(spec, tracked, self._run.folder, self._warnings)
        follower.start()
        return follower

    def on_event(self, event: Mapping[str, Any]) -> None:
        self._on_event(event)
        if event["event"] == "metric":
            for follower in self._followers:
                follower.tell(event)
        self._warn()

    def finish(self, state: State, outcome: Outcome | None = None) -> None:
        """Tell that the run ends, and wait for ``PATIENCE`` at most. An interrupt ends the waiting."""
        files = [self._run.folder / name for name in (NAMES[0], SUMMARY)] if outcome else []
        end = End(state, results_of(outcome) if outcome else {}, [path for path in files if path.is_file()])
        for follower in self._followers:
            follower.tell(end)
        until = time.monotonic() + PATIENCE
        try:
            for follower in self._followers:
                follower.join(max(0.0, until - time.monotonic()))
        except KeyboardInterrupt:
            until = time.monotonic()
        for follower in self._followers:
            if follower.is_alive():
                follower.leave_out("it was still at work when the run ended, and was not waited for any longer")
        self._warn()

    def _warn(self) -> None:
        while True:
            try:
                message = self._warnings.get_nowait()
            except Empty:
                return
            self._on_event({"event": "warning", "message": message})


class _Follower(threading.Thread):
    """One tracker at work. A process that ends does not wait for it."""

    def __init__(self, spec: Tracker, tracked: TrackedRun, run: Path, warnings: SimpleQueue[str]) -> None:
        super().__init__(name=f"tracker {spec.name}", daemon=True)
        self._spec = spec
        self._tracked = tracked
        self._run = run
        self._warnings = warnings
        self._waiting: SimpleQueue[Event | End] = SimpleQueue()
        self._out = False
        self._deciding = threading.Lock()

    def tell(self, what: Event | End) -> None:
        if self._out:
            return
        if self._waiting.qsize() >= BEHIND:
            self.leave_out(f"it is {BEHIND:,} steps behind")
        else:
            self._waiting.put(what)

    def leave_out(self, why: BaseException | str) -> None:
        """Once, with one warning, whichever thread finds out first."""
        with self._deciding:
            if not self._out:
                self._out = True
                self._warnings.put(_left_out(self._spec.name, why))

    def run(self) -> None:
        try:
            module, _, attribute = self._spec.target.partition(":")
            tracking: Tracking = getattr(import_module(module), attribute)(self._tracked)
            told = self._fill(tracking, tracking.held, self._tracked.resumed_after)
            while not self._out:
                event = self._waiting.get()
                if isinstance(event, End):
                    tracking.finish(event.state, event.results, event.files)
                    return
                if (step := event["step"]) > told:  # a new worker may do steps again
                    self._fill(tracking, told, step - 1)
                    tracking.step(step, figures_of(event))
                    told = step
        except BaseException as error:  # noqa: BLE001 - a library may raise anything, SystemExit too
            self.leave_out(error)

    def _fill(self, tracking: Tracking, told: int, last: int) -> int:
        """Tell the steps after ``told``, up to ``last``, that the run did before, and the tracker does not have: it
        failed then, or a worker whose supervisor was killed kept its state while this process began. The last step
        that was told.
        """
        for step, event in steps_of(self._run).items() if told < last else ():
            if told < step <= last:
                tracking.step(step, figures_of(event))
                told = step
        return told


@contextmanager
def trackers(run: Run, registry: Registry, on_event: OnEvent) -> Iterator[Trackers]:
    """The run's trackers. They are told how it ends where the block raises; where it does not, it tells them itself."""
    found = Trackers(run, registry, on_event)
    try:
        yield found
    except BaseException as error:
        found.finish("stopped" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed")
        raise


def done_before(run: Run) -> int:
    """Steps that the next worker does not do again: those before the newest checkpoint, or all that were trained."""
    if trained_already(run.folder):
        path = run.folder / "training.json"
        return len(from_json(path.read_bytes(), Training, "what training gave").losses)
    return max(run.checkpoints().steps(), default=0)


def figures_of(event: Event) -> dict[str, float]:
    """What a tracker is told of a step."""
    return {name: float(event[theirs]) for name, theirs in FIGURES.items() if theirs in event}


def flat_settings(plan: Plan) -> dict[str, str | int | float | bool]:
    """What the run is of, as trackers show it. Their own options are not for each other: a place may hold a secret."""
    settings = {name: value for name, value in plan.settings.items() if name not in ("options", "track", "out")}
    options = {
        f"{kind}.{name}": value
        for kind, theirs in plan.options.items()
        if kind != Tracker.kind
        for name, value in theirs.items()
    }
    chosen = {
        "accelerator": "+".join(part.name for part in plan.all_parts("accelerator")),
        "format": plan.data.format,
        "template": plan.template.name,
        "family": plan.model.family,
        "device": plan.device,
        "dtype": plan.dtype,
        "target_modules": ",".join(plan.method.target_modules),
        "rank": plan.method.rank,
        "alpha": plan.method.alpha,
        "steps": plan.training.steps,
        "epochs": plan.training.epochs,
        "micro_batch": plan.training.micro_batch,
        "train_rows": plan.data.splits[0].rows,
        "plan_hash": plan.hash,
        "graftlm": plan.version,
    }
    whole = {**settings, **options, **chosen}
    return {
        name: value if isinstance(value, str | int | float | bool) else json.dumps(value)
        for name, value in whole.items()
        if value not in (None, "", (), {}, [])
    }


def results_of(outcome: Outcome) -> dict[str, float]:
    """Scores, what training changed of them, and what the run took."""
    memory = outcome.memory
    found: dict[str, float | None] = {
        **{f"{score.evaluation}/{score.metric}/{score.moment}": score.value for score in outcome.scores},
        **{f"{change.evaluation}/{change.metric}/change": change.value for change in outcome.changes},
        "first_loss": outcome.first_loss,
        "final_loss": outcome.losses[-1],
        "final_validation_loss": outcome.validation_loss,
        "steps": len(outcome.losses),
        "kept_step": outcome.kept_step or len(outcome.losses),
        "spikes": len(outcome.spikes),
        "final_tokens_per_second": outcome.tokens_per_second,
        "training_seconds": outcome.seconds,
        "total_seconds": outcome.total_seconds,
        "peak_memory": (memory.device_peak or memory.peak) if memory else None,
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def _left_out(name: str, why: BaseException | str) -> str:
    """In one line: a library's reasons have many, and the rest is in its own logs."""
    words = why if isinstance(why, str) else f"{type(why).__name__}: {why}"
    return f"tracker {name} is left out from here on: {' '.join(words.split())[:400]}"
