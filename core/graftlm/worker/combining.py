"""The job ``combine``: one adapter of several on one base, written, read again and proved."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from graftlm.contracts.combining import CombineJob, CombiningTuner
from graftlm.contracts.errors import UsageError
from graftlm.contracts.serial import from_json, to_builtins

from .events import Events
from .fitting import prove_files
from .kept import tuner_of

ADVICE = "the adapters take each other away: give other weights"


def combine_job(folder: Path, events: Events) -> None:
    """Carry out ``FOLDER/job.json``; the last event holds what was measured, and the proof."""
    job = from_json((folder / "job.json").read_bytes(), CombineJob, "the job")
    if job.trial is not None:
        from .trying import score_all

        events.send("done", subjects=to_builtins(score_all(job, job.trial, events)))
        return
    who, plan = job.who, job.plan
    if who.kept is None or plan is None:
        raise UsageError("there is nothing to combine, or no folder for it")
    out, tuner = Path(who.kept.folder), cast(CombiningTuner, tuner_of(who.kept))

    def combined(base: Any) -> Any:
        model = tuner.combine(base, [Path(parent) for parent in job.parents], plan)
        tuner.save(model, out)
        return model

    effective, proof = prove_files(who, job.texts, combined, "combination", ADVICE, events)
    events.send("done", effective=to_builtins(effective), proof=to_builtins(proof))
