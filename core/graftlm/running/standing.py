"""Where a run stands: what going on with it need not do again."""

from __future__ import annotations

from graftlm_registry.runs import Run

from .jobs import read_job, trained_already


def standing(run: Run) -> str:
    """Where it goes on, as the end of a sentence that begins with "it goes on". Checkpoints are not verified here."""
    if trained_already(run.folder):
        return "after its last step (it is still to be proved, scored and kept)"
    plan = run.plan()
    if steps := run.checkpoints().steps():
        return f"after step {steps[0]:,} of {plan.training.steps:,}"
    if read_job(run.folder).resumes:
        return "from the beginning (there is no checkpoint yet)"
    return f"from the beginning (backend {plan.part('backend').name} keeps no checkpoints)"
