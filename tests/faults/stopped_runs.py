"""Runs in this process that are stopped at a chosen moment, and gone on with."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import Interrupted
from graftlm.contracts.outcome import Outcome
from graftlm.contracts.plan import Plan
from graftlm.planning.resolve import resolve
from graftlm.running.supervise import supervise
from graftlm.running.train import prepare
from graftlm.testing.in_process import start_in_process
from graftlm.worker import events as worker_events
from graftlm_registry.plugins import registry
from graftlm_registry.runs import Run

PLACES = {
    "report": "encode",
    "at_once": "load",
    "_take": "load",
    "optimize": "micro-batch",
    "_validate": "validation",
    "stepped": "after a step",
}
"""What a worker does where it asks whether to stop, by the function that asks."""
SETTINGS: dict[str, Any] = {
    "model": "tiny-mistral", "max_steps": 6, "eval_every": 3, "batch_size": 4, "micro_batch": 2, "val_split": 0.2,
    "learning_rate": 5e-3, "warmup": 0.0, "dropout": 0.1, "checkpoint_every": 2, "retention": False, "device": "cpu",
}  # fmt: skip


class Crash(BaseException):
    """Stands in for kill -9: nobody catches it, and nothing is saved."""


@dataclass
class Watch:
    """Raises at the ``nth`` moment of a kind (any, where that is empty); ``seen`` are all moments, in order."""

    kind: str = ""
    nth: int = 0
    how: str = "stop"
    seen: list[str] = field(default_factory=list)
    hit: bool = False

    def pass_by(self, moment: str) -> None:
        self.seen.append(moment)
        count = self.seen.count(self.kind) if self.kind else len(self.seen)
        if not self.hit and self.kind in ("", moment) and count == self.nth:
            self.hit = True
            raise Crash if self.how == "crash" else Interrupted("stopped by a test")


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Every moment at which a worker asks whether to stop, or tells something (``tell NAME``), passes by."""

    class Watched(worker_events.Events):
        def checkpoint(self) -> None:
            watch.pass_by(_place())
            super().checkpoint()

        def send(self, event: str, **fields: Any) -> None:
            if not watch.kind or watch.kind.startswith("tell"):
                watch.pass_by(f"tell {event}")
            super().send(event, **fields)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker_events, "Events", Watched)
        yield


def _place() -> str:
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_name in PLACES:
            return PLACES[frame.f_code.co_name]
        frame = frame.f_back  # type: ignore[assignment]
    return "evaluation"


def plan_of(rows: Path, **asked: Any) -> Plan:
    plan = resolve(RunConfig(data=str(rows), **{**SETTINGS, "name": "resumed", **asked}), registry())
    assert plan.problems == ()
    return plan


def carried_on(run: Run, watch: Watch | None = None) -> Outcome:
    with watching(watch or Watch()):
        return supervise(run, registry(), lambda event: None, start=start_in_process).outcome


def whole(plan: Plan) -> Outcome:
    return carried_on(prepare(plan, registry()))


def stopped(run: Run, kind: str, nth: int, how: str = "stop") -> str:
    """Let the run go on until it is stopped there: at which moment; empty where it ended before."""
    watch = Watch(kind, nth, how)
    try:
        carried_on(run, watch)
    except (Crash, Interrupted):
        assert watch.hit
        return kind or watch.seen[nth - 1]
    assert not watch.hit
    return ""


def cut(plan: Plan, stops: Sequence[tuple[str, int, str]]) -> Outcome:
    """The run stopped at each of these, one after the other, and then carried to its end."""
    run = prepare(plan, registry())
    for kind, nth, how in stops:
        assert stopped(run, kind, nth, how), f"there is no {kind} number {nth}"
    return carried_on(run)


COUNTS = (
    "digest", "first_loss", "losses", "validation", "tokens", "kept_step", "stopped_early", "spikes", "effective",
    "proof", "scores", "encoding", "too_large",
)  # fmt: skip
"""What must be the same, to the last bit, in the outcome of a run that was stopped."""


def differences(one: Outcome, other: Outcome) -> dict[str, tuple[Any, Any]]:
    """``optimizer_bytes`` aside: tensors that bitsandbytes shares among parameters are loaded apart."""
    one, other = (replace(each, effective=replace(each.effective, optimizer_bytes=0)) for each in (one, other))
    pairs = {name: (getattr(one, name), getattr(other, name)) for name in COUNTS}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
