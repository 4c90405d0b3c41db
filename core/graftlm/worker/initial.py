"""The job ``initial``: an adapter's first weights, made in the base environment for a backend that has its own."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from graftlm.contracts.services import Tuner

from .events import Events
from .patches import Patches
from .run_files import RunFiles
from .targets import resolve_target
from .training import draw_weights


def initial_job(run: Path, events: Events) -> None:
    """Write ``RUN/initial``: releases of PEFT, and what patches it, draw other numbers from the same seed."""
    from .adapt import Files, load_adapted

    files = RunFiles(run)
    plan, job = files.plan(), files.job()
    tuner: Tuner = resolve_target(plan.part("method").target)()
    draw_weights(plan, Path(job.model), events)
    events.progress("make the initial adapter", 0, 1)
    with ExitStack() as stack:
        where = Files(Path(job.model), Path(job.parent) if job.parent else None, files.initial)
        _, loaded = load_adapted(plan, where, Patches(plan, plan.device, stack), tuner)
    files.base_digest.parent.mkdir(parents=True, exist_ok=True)
    files.base_digest.write_text(loaded.digest, encoding="ascii")
    events.send("done")
