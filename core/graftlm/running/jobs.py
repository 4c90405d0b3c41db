"""A run's folder, and the worker jobs that train in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import GraftlmError, PluginError, StoreError
from graftlm.contracts.job import TrainJob
from graftlm.contracts.outcome import Training
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import from_json, to_json
from graftlm.contracts.specs import Backend
from graftlm.environments.declared import find
from graftlm.environments.interpreter import BASE, Interpreter
from graftlm.environments.state import state_of
from graftlm.planning import base_model
from graftlm.source import code_digest
from graftlm_registry.adapters import open_store
from graftlm_registry.adapters.content import content_digest
from graftlm_registry.home import replaced
from graftlm_registry.plugins import Registry

from .rows import lay_out_rows
from .worker_process import OnEvent, StartWorker


def lay_out_run(
    plan: Plan, registry: Registry, run: Path, staged: Path, *, resumes: bool = False, out: Path | None = None
) -> TrainJob:
    """Put the plan, the job and the rows into the run's folder; the base's files are fetched. ``resumes``: it is to
    keep checkpoints, where its backend can. ``out``: a folder that the adapter is also written to.
    """
    asked = base_model.request(
        plan.model.reference, plan.model.revision, bool(plan.settings.get("offline")), plan.load.trust_remote_code
    )
    source, description = base_model.describe(asked, registry)
    folder = source.fetch(asked, description)
    lay_out_rows(plan, registry, run)
    job = TrainJob(
        run=run.name,
        model=str(folder),
        staged=str(staged),
        parent=str(_parent(plan)) if plan.method.parent else "",
        proves=not plan.environment,
        code=code_digest(),
        resumes=resumes and registry.get(Backend, plan.part("backend").name).resumes,
        out=str(out.absolute()) if out else "",
        checkpoint_steps=plan.settings.get("checkpoint_every") or 0,
        checkpoint_seconds=60 * float(plan.settings.get("checkpoint_minutes") or 0),
    )
    write_job(run, job)
    with replaced(run / "plan.json") as fresh:  # the last: a folder without one is no run
        fresh.write_bytes(to_json(plan))
    return job


def read_job(run: Path) -> TrainJob:
    return from_json((run / "job.json").read_bytes(), TrainJob, "the job")


def write_job(run: Path, job: TrainJob, **changes: Any) -> None:
    """The job, with some of it changed, as the next worker reads it."""
    with replaced(run / "job.json") as fresh:
        fresh.write_bytes(to_json(replace(job, **changes)))


def interpreter_of(plan: Plan, registry: Registry, *, any_stack: bool = False) -> Interpreter:
    """Where the plan trains; ``PluginError`` where its environment is not the one that was planned with, as it must be
    unless ``any_stack``.
    """
    if not plan.environment:
        return BASE
    state = state_of(find(plan.environment, registry), registry)
    other = state.manifest is None or (state.manifest.lock != plan.lock and not any_stack)
    if state.kind != "ready" or other:
        raise PluginError(f"environment '{plan.environment}' is not the one that was planned with: plan again")
    return state.interpreter()


def train_and_prove(
    plan: Plan, registry: Registry, run: Path, on_event: OnEvent, start: StartWorker
) -> Mapping[str, Any]:
    """The last event of the job that proved. A backend's own environment trains, and does no more: what is given to it
    and what is said of its work comes from the base environment, as for every other.
    """
    at = interpreter_of(plan, registry, any_stack=read_job(run).any_stack)
    if trained_already(run):
        return start("prove", run, on_event)
    if not plan.environment:
        return start("train", run, on_event)
    if not (run / "initial" / "base.sha256").is_file():
        start("initial", run, on_event)
    start("train", run, on_event, at=at)
    return start("prove", run, on_event)


def trained_already(run: Path) -> bool:
    """Whether an earlier worker of the run staged its adapter and left its logits for the proof, and both are whole."""
    try:
        training = from_json((run / "training.json").read_bytes(), Training, "what training gave")
        staged = Path(read_job(run).staged)
        return (run / "scratch" / "trained.safetensors").is_file() and content_digest(staged) == training.digest
    except (OSError, GraftlmError):
        return False


def _parent(plan: Plan) -> Path:
    """The files of the adapter that the run goes on from, still those that the plan names."""
    folder = open_store().path(plan.method.parent)
    if content_digest(folder) != plan.method.parent_digest:
        raise StoreError(f"the files of {plan.method.parent} are not those that were planned with")
    return folder
