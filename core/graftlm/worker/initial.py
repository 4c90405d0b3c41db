"""The job ``initial``: what a backend in an environment of its own is given: the order, an adapter's first weights."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from graftlm.contracts.services import Tuner
from graftlm_registry.home import replaced

from .events import Events
from .initial_weights import draw_weights
from .patches import Patches
from .run_files import RunFiles
from .targets import resolve_target


def initial_job(run: Path, events: Events) -> None:
    """Write ``RUN/initial`` and ``order.json``: releases of PEFT and numpy, and what patches them, draw other numbers
    from the same seed. The base's digest is read for the proof.
    """
    from .adapt import Files, load_adapted
    from .batches import known_order
    from .digest import base_digest
    from .load import load_base

    files = RunFiles(run)
    plan, job = files.plan(), files.job()
    tuner: Tuner = resolve_target(plan.part("method").target)()
    draw_weights(plan, Path(job.model), events)
    events.progress("make the initial adapter", 0, 1)
    known_order(plan, files.encoded)
    if plan.method.keeps == "adapter":
        with ExitStack() as stack:
            where = Files(Path(job.model), Path(job.parent) if job.parent else None, files.initial)
            _, loaded = load_adapted(plan, where, Patches(plan, plan.device, stack), tuner)
        digest = loaded.digest
    else:  # an overlay begins as the base
        digest = base_digest(load_base(plan.load, Path(job.model), plan.device).model)
    files.base_digest.parent.mkdir(parents=True, exist_ok=True)
    with replaced(files.base_digest) as fresh:  # the last of what this job makes
        fresh.write_text(digest, encoding="ascii")
    events.send("done")
