"""A training run, from a plan to a published adapter."""

from __future__ import annotations

import shutil
from pathlib import Path

from graftlm.contracts.errors import PluginError
from graftlm.contracts.plan import Plan
from graftlm.contracts.specs import Backend
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import Registry
from graftlm_registry.runs import Run, make_run

from .jobs import lay_out_run, write_job
from .out_folder import check_out
from .run_results import SHOWN
from .supervise import Also, Trained, supervise
from .worker_process import OnEvent, StartWorker, run_worker

__all__ = ["Trained", "carry_out", "prepare", "refuse"]


def refuse(plan: Plan) -> None:
    """Raise where something speaks against the plan."""
    if plan.problems:
        raise PluginError("\n".join(plan.problems))


def _refuse_scripts(plan: Plan, registry: Registry) -> None:
    backend = plan.part("backend").name
    if registry.get(Backend, backend).as_is:
        raise PluginError(
            f"backend {backend} is a script that runs as it is, whatever the plan says: it is there for 'graftlm "
            "bench' to measure, and makes no adapter to keep"
        )


def carry_out(
    plan: Plan,
    registry: Registry,
    on_event: OnEvent,
    *,
    out: Path | None = None,
    also: Also | None = None,
    start: StartWorker = run_worker,
) -> Trained:
    """Run the plan in a worker and publish the adapter; ``also`` may then add files to the run's folder.

    A run that fails or is stopped publishes nothing, and keeps what it has done: ``supervise`` goes on with it.
    """
    return supervise(prepare(plan, registry, out), registry, on_event, also=also, start=start)


def prepare(plan: Plan, registry: Registry, out: Path | None = None) -> Run:
    """The run's folder, with all that whoever supervises it needs. ``out``: the adapter is also written there."""
    refuse(plan)
    _refuse_scripts(plan, registry)
    if out is not None:
        check_out(out)
    open_store().prepare()  # a store that cannot be written is told before anything runs
    run = make_run()
    try:
        job = lay_out_run(plan, registry, run.folder, run.folder / "staged", resumes=True, out=out)
        if not any(evaluation.role == "new" for evaluation in plan.evaluations):
            write_job(run.folder, job, shown=SHOWN)
    except BaseException:  # nothing ran: there is nothing to keep
        shutil.rmtree(run.folder, ignore_errors=True)
        raise
    return run
