"""All that is known of one run: read from its folder, checkpoints verified."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import GraftlmError, StoreError
from graftlm.contracts.job import TrainJob
from graftlm.contracts.outcome import Outcome, Spike
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import to_builtins
from graftlm_registry.runs import Run
from graftlm_registry.runs.checkpoints import verified

from .detached import OUTPUT
from .glance import Glance, glance
from .jobs import read_job
from .loss_picture import NAMES
from .run_events import events_of
from .run_results import SUMMARY
from .standing import standing
from .worker_process import LOG

FILES = {"picture": NAMES[0], "summary": SUMMARY, "log": LOG, "events": "events.jsonl", "supervisor": OUTPUT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A checkpoint after ``step`` finished steps; ``problem`` says why it is of no use, or is empty."""

    step: int
    bytes: int
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """``plan``, ``job`` and ``outcome`` are None where they are not there, or another graftlm wrote them.
    ``from_where`` is where it would be gone on with, as the end of a sentence, or empty. ``resumed`` are the steps
    after which it was, and ``too_large`` micro-batches that ran out of memory. ``files`` are those that are there.
    """

    glance: Glance
    plan: Plan | None
    job: TrainJob | None
    outcome: Outcome | None
    validation: float | None
    checkpoints: tuple[Kept, ...]
    from_where: str
    resumed: tuple[int, ...]
    spikes: tuple[Spike, ...]
    warnings: tuple[str, ...]
    files: Mapping[str, Path]

    @property
    def too_large(self) -> tuple[int, ...]:
        return self.job.too_large if self.job else ()

    def as_json(self) -> Mapping[str, Any]:
        seen, status = self.glance, self.glance.status
        return {
            "run": seen.run.name,
            "folder": str(seen.run.folder),
            "state": status.state,
            "supervisor": to_builtins(status.supervisor),
            "ending": to_builtins(status.ending),
            "adapter": seen.adapter,
            "model": seen.model,
            "method": self.plan.method.name if self.plan else None,
            "backend": self.plan.part("backend").name if self.plan else None,
            "device": self.plan.device if self.plan else None,
            "plan_hash": self.plan.hash if self.plan else None,
            "step": seen.step,
            "steps": seen.steps,
            "loss": seen.loss,
            "validation_loss": self.validation,
            "checkpoints": to_builtins(self.checkpoints),
            "goes_on": self.from_where or None,
            "resumed_after_steps": list(self.resumed),
            "spikes": to_builtins(self.spikes),
            "micro_batches_too_large": list(self.too_large),
            "warnings": list(self.warnings),
            "files": {name: str(path) for name, path in self.files.items()},
            "bytes": seen.bytes,
            "time": round(seen.time, 3),
        }


def account(run: Run) -> Account:
    seen = glance(run)
    plan = job = outcome = None
    with suppress(OSError, GraftlmError):
        plan = run.plan()
    with suppress(OSError, GraftlmError):
        job = read_job(run.folder)
    with suppress(OSError, GraftlmError):
        outcome = run.outcome()
    told = list(events_of(run.folder))
    metrics = {event["step"]: event for event in told if event["event"] == "metric"}  # the last time that it was done
    steps = [event for step, event in sorted(metrics.items()) if step <= seen.step]
    validated = [float(event["validation_loss"]) for event in steps if "validation_loss" in event]
    return Account(
        glance=seen,
        plan=plan,
        job=job,
        outcome=outcome,
        validation=outcome.validation_loss if outcome else validated[-1] if validated else None,
        checkpoints=tuple(_checkpoints(run, plan)),
        from_where=standing(run) if plan and job and seen.status.resumable else "",
        resumed=outcome.resumed if outcome else tuple(e["step"] for e in told if e["event"] == "resumed"),
        spikes=tuple(Spike(step=e["step"], loss=e["loss"], usual=e["usual_loss"]) for e in steps if "usual_loss" in e),
        warnings=tuple(dict.fromkeys(str(event["message"]) for event in told if event["event"] == "warning")),
        files={name: path for name, file in FILES.items() if (path := run.folder / file).is_file()},
    )


def _checkpoints(run: Run, plan: Plan | None) -> Iterator[Kept]:
    """The newest first. One that its run puts away meanwhile is passed over."""
    kept = run.checkpoints()
    for step in kept.steps():
        folder = kept.of(step)
        try:
            found = verified(folder, plan.hash if plan else "")
            yield Kept(step=step, bytes=found.bytes, problem="")
        except StoreError as error:
            if folder.is_dir():
                yield Kept(step=step, bytes=0, problem=str(error))
