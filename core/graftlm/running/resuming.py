"""Going on with a run that was stopped, that failed, or whose supervisor was killed."""

from __future__ import annotations

from graftlm.contracts.errors import UsageError
from graftlm_registry.plugins import Registry
from graftlm_registry.runs import Run
from graftlm_registry.runs.supervisor import supervising

from .jobs import read_job, write_job
from .supervise import Trained, refuse_finished, supervise
from .worker_process import OnEvent, StartWorker, run_worker


def resume(
    run: Run, registry: Registry, on_event: OnEvent, *, any_stack: bool = False, start: StartWorker = run_worker
) -> Trained:
    """Go on with a run to its end. ``any_stack``: other packages, or another graftlm, than it began with are warnings;
    what comes of it may then differ from what it would have been. Raises as ``supervise`` does.
    """
    make_ready(run, any_stack=any_stack)
    return supervise(run, registry, on_event, start=start)


def make_ready(run: Run, *, any_stack: bool = False) -> None:
    """``UsageError`` where there is nothing to go on with, or another process is at it."""
    with supervising(run.folder):
        refuse_finished(run)
        if not (run.folder / "job.json").is_file():
            raise UsageError(
                f"run {run.name} has no job.json: it was begun by an earlier graftlm, which kept nothing to go on with"
            )
        job = read_job(run.folder)
        if job.any_stack != any_stack:
            write_job(run.folder, job, any_stack=any_stack)
