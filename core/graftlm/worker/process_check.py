"""Whether a worker has the packages and the code that its plan was made with."""

from __future__ import annotations

from graftlm.contracts.errors import RunError
from graftlm.contracts.job import TrainJob
from graftlm.contracts.plan import Plan
from graftlm.contracts.versions import versions
from graftlm.source import code_digest

from .events import Events


def check_process(plan: Plan, job: TrainJob, events: Events) -> None:
    """``RunError`` where this process has other packages, or another graftlm, than the plan was made with; a warning
    where the job goes on all the same.
    """
    where = f"environment '{plan.environment}'" if plan.environment else "this environment"
    anyway = f", or go on all the same: graftlm runs resume {job.run} --other-stack" if job.resumes else ""
    mend = f"graftlm envs create {plan.environment} --again" if plan.environment else "plan again"
    found = versions()
    other = [f"{n} {found.get(n, 'missing')}" for n, v in plan.probe.versions.items() if found.get(n) != v]
    said = []
    if other:
        said.append(f"{where} has changed since the plan was made: {', '.join(other)}")
    if job.code and job.code != code_digest():
        said.append(f"{where} has another graftlm than the plan was made with")
    for sentence in said:
        if not job.any_stack:
            raise RunError(f"{sentence} (run: {mend}{anyway})")
        events.warning(f"{sentence}: what comes of the run may differ from what it would have been")
