"""What a finished run leaves for people to look at: a summary, and a picture of its losses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from graftlm.contracts.outcome import Outcome
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import to_builtins
from graftlm.data.samples import read_samples, sample_file, shown_file
from graftlm_registry.home import replaced
from graftlm_registry.runs import Run

from .loss_picture import NAMES, save_loss_picture
from .run_events import steps_of
from .worker_process import OnEvent

SUMMARY = "summary.json"
SHOWN = 5
"""Rows whose answers before and after stand in the summary."""
MOMENTS = ("before", "after")


def keep_results(plan: Plan, outcome: Outcome, run: Run, on_event: OnEvent) -> None:
    """Write them into the run's folder. The adapter is kept already: what cannot be written is a warning."""
    steps = steps_of(run.folder)
    try:
        with replaced(run.folder / SUMMARY) as fresh:
            fresh.write_text(json.dumps(summary(plan, outcome, run), indent=2, ensure_ascii=False) + "\n", "utf-8")
        rates = [float(event["learning_rate"]) for event in steps.values()]
        save_loss_picture(plan, outcome, rates, run.folder)
    except Exception as error:  # noqa: BLE001 - drawing has many ways to fail
        on_event({"event": "warning", "message": f"the run's summary or picture could not be written: {error}"})


def summary(plan: Plan, outcome: Outcome, run: Run) -> Mapping[str, Any]:
    """What matters of a run, on one page of JSON."""
    effective, memory = outcome.effective, outcome.memory
    return {
        "run": run.name,
        "adapter": outcome.adapter,
        "model": plan.model.reference,
        "method": plan.method.name,
        "backend": plan.part("backend").name,
        "device": plan.device,
        "dtype": effective.dtype,
        "steps": len(outcome.losses),
        "planned_steps": plan.training.steps,
        "stopped_early": outcome.stopped_early,
        "kept_step": outcome.kept_step or len(outcome.losses),
        "loss": {"first": outcome.first_loss, "last": outcome.losses[-1], "lowest": min(outcome.losses)},
        "validation_loss": outcome.validation_loss,
        "spikes": to_builtins(outcome.spikes),
        "tokens": outcome.tokens,
        "tokens_per_second": round(outcome.tokens_per_second, 1),
        "training_seconds": round(outcome.seconds, 3),
        "total_seconds": round(outcome.total_seconds, 3),
        "peak_memory_bytes": memory.device_peak or memory.peak if memory else None,
        "micro_batch": effective.micro_batch,
        "micro_batches_too_large": list(outcome.too_large),
        "resumed_after_steps": list(outcome.resumed),
        "scores": to_builtins(outcome.scores),
        "answered_rows": "test" if any(e.role == "new" for e in plan.evaluations) else "validation, or training",
        "answers": list(islice(_answers(plan, run.folder), SHOWN)),
        "pictures": list(NAMES),
        "plan_hash": plan.hash,
        "versions": dict(effective.versions),
    }


def _answers(plan: Plan, run: Path) -> Iterator[Mapping[str, str]]:
    """Rows of the new skill: what was asked, and answered before and after training; where no test rows were answered,
    rows that the run saw.
    """
    for before, after in _answered(plan, run):
        for one, other in zip(read_samples(before), read_samples(after), strict=False):
            if "answer" in one and "answer" in other:
                yield {
                    "question": one.get("question", ""), "expected": one.get("reference", ""),
                    "before": one["answer"], "after": other["answer"],
                }  # fmt: skip


def _answered(plan: Plan, run: Path) -> Iterator[tuple[Path, Path]]:
    """Files of answers before and after: one evaluator's of each evaluation."""
    for evaluation in plan.evaluations:
        if evaluation.role == "new":
            names = evaluation.evaluators or tuple(part.name for part in plan.all_parts("evaluator"))
            pairs = (
                tuple(run / "samples" / sample_file("new", evaluation.name, name, moment) for moment in MOMENTS)
                for name in names
            )
            yield from [(before, after) for before, after in pairs if before.is_file() and after.is_file()][:1]
    before, after = (run / shown_file(moment) for moment in MOMENTS)
    if before.is_file() and after.is_file():
        yield before, after
