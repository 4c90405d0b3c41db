"""A run at a glance: what is cheap to know of it, so that hundreds can be listed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from graftlm.contracts.errors import GraftlmError
from graftlm.contracts.serial import from_json
from graftlm_registry.runs import Run, Status, status_of
from graftlm_registry.runs.usage import kept_to_go_on

from .run_events import last_step
from .run_results import SUMMARY


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """``adapter`` is ``name@version`` once it is kept, until then the name that it will have. ``step`` of ``steps``
    optimizer steps are finished, the last with this ``loss`` (nats a trained token). ``time`` is of the last sign of
    life, in seconds since 1970; ``bytes`` are kept only for going on.
    """

    run: Run
    status: Status
    adapter: str
    model: str
    step: int
    steps: int
    loss: float | None
    time: float
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Steps:
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is read of a plan; the rest is passed over."""

    name: str = "?"
    model: _Model = field(default_factory=lambda: _Model(name="?"))
    training: _Steps = field(default_factory=lambda: _Steps(steps=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loss:
    last: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Summary:
    adapter: str
    steps: int
    loss: _Loss


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    adapter: str
    losses: tuple[float, ...]


def glance(run: Run) -> Glance:
    """A run whose plan another graftlm wrote, or nobody can read, still has a state."""
    plan, status = _Plan(), status_of(run)
    with suppress(OSError, GraftlmError):
        plan = from_json((run.folder / "plan.json").read_bytes(), _Plan, "a plan")
    adapter, step, loss = _made(run) or (plan.name, *_so_far(run))
    return Glance(
        run=run,
        status=status,
        adapter=adapter,
        model=plan.model.name,
        step=step,
        steps=max(step, plan.training.steps),
        loss=loss,
        time=_time(run, status),
        bytes=0 if status.state == "done" else kept_to_go_on(run),
    )


def _so_far(run: Run) -> tuple[int, float | None]:
    """A worker that was asked to leave tells of its last step nobody but the checkpoint."""
    step, loss = last_step(run.folder)
    return max([step, *run.checkpoints().steps()]), loss


def _made(run: Run) -> tuple[str, int, float] | None:
    """Adapter, steps and last loss of a finished run."""
    if not run.finished:
        return None
    with suppress(OSError, GraftlmError):
        summary = from_json((run.folder / SUMMARY).read_bytes(), _Summary, "a summary")
        return summary.adapter, summary.steps, summary.loss.last
    with suppress(OSError, GraftlmError, IndexError):  # its summary could not be written
        outcome = from_json((run.folder / "outcome.json").read_bytes(), _Outcome, "an outcome")
        return outcome.adapter, len(outcome.losses), outcome.losses[-1]
    return None


def _time(run: Run, status: Status) -> float:
    if status.state != "running" and status.ending is not None and status.ending.time:
        return status.ending.time
    return max((found for name in ("events.jsonl", "plan.json") if (found := _changed(run.folder / name))), default=0.0)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def moment(seconds: float) -> str:
    """A time in UTC, to the minute: ``2026-11-23 16:04``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
