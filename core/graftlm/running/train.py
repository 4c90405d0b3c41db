"""A training run, from a plan to a published adapter."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from graftlm.contracts.config import SETTINGS
from graftlm.contracts.errors import GraftlmError, Interrupted, PluginError, StoreError
from graftlm.contracts.outcome import Outcome
from graftlm.contracts.plan import Plan
from graftlm.contracts.record import AdapterRecord, BaseModel
from graftlm.contracts.serial import file_digest, from_json, to_builtins, to_json
from graftlm.contracts.specs import Backend
from graftlm.version import __version__
from graftlm_registry.adapters import open_store
from graftlm_registry.adapters.content import content_files
from graftlm_registry.home import home
from graftlm_registry.plugins import Registry

from .forgetting import Verdict, verdict
from .jobs import lay_out_run, train_and_prove
from .out_folder import check_out, written
from .rows import encode_rows
from .stopping import interrupted
from .worker_process import OnEvent, StartWorker, run_worker


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished run: its outcome, the published record, and the run's folder. ``verdict`` is on what it forgot, where
    a limit was given.
    """

    outcome: Outcome
    record: AdapterRecord
    run: Path
    verdict: Verdict | None = None


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
    also: Callable[[Plan, Outcome, Path], None] | None = None,
    start: StartWorker = run_worker,
) -> Trained:
    """Run the plan in a worker and publish the adapter; ``also`` may then add files to the run's folder.

    A run that fails or is stopped publishes nothing; its staged adapter is removed, its log is kept.
    """
    refuse(plan)
    _refuse_scripts(plan, registry)
    if out is not None:
        check_out(out)
    store = open_store()
    staged = store.stage()
    run = None
    try:
        run = make_run()
        lay_out_run(plan, registry, run, staged)
    except BaseException:  # nothing ran: there is no log to keep
        for folder in filter(None, (staged, run)):
            shutil.rmtree(folder, ignore_errors=True)
        raise
    try:
        encode_rows(plan, run, on_event, start)
        done = train_and_prove(plan, registry, run, on_event, start)
        outcome = from_json(json.dumps(done["outcome"]), Outcome, "the worker's outcome")
        if outcome.plan_hash != plan.hash:
            raise StoreError("the worker carried out another plan: nothing was published")
        record = store.publish(staged, draft(plan, outcome, Path(plan.model.folder)))
    except KeyboardInterrupt as stop:
        raise _nothing_published(interrupted(stop), run) from None
    except Interrupted as error:
        raise _nothing_published(error, run) from None
    else:
        outcome = replace(outcome, adapter=record.reference, staged=str(store.path(record.reference)))
        (run / "outcome.json").write_bytes(to_json(outcome))
        if also is not None:
            also(plan, outcome, run)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        for bulky in ("data", "encoded", "initial", "scratch"):
            shutil.rmtree(run / bulky, ignore_errors=True)
    if out is not None:
        _copy_out(store.path(record.reference), out, record)
    return Trained(outcome, record, run, verdict(plan, outcome.changes))


def _nothing_published(error: Interrupted, run: Path) -> Interrupted:
    again = "nothing was published. To go on, give the same command again"
    error.args = (f"{error}; {again} (log: {run / 'log.txt'})",)
    return error


def _copy_out(files: Path, out: Path, record: AdapterRecord) -> None:
    try:
        with written(out) as partial:
            for file in content_files(files):
                shutil.copyfile(file, partial / file.name)
    except (OSError, GraftlmError) as error:
        raise StoreError(f"{record.reference} is kept, but could not be written to {out}: {error}") from None


def make_run() -> Path:
    """A folder of its own for a run."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    run = home() / "runs" / f"{stamp}-{os.urandom(3).hex()}"
    try:
        (run / "scratch").mkdir(parents=True)
    except OSError as error:
        raise StoreError(f"{run.parent} cannot be written: {error.strerror}") from None
    return run


UNUSUAL = ("weight_decay", "loraplus_ratio", "label_smoothing", "neftune_alpha", "early_stopping")
"""Settings of training that a record holds where they are not the defaults."""


def _unusual(plan: Plan, outcome: Outcome) -> Mapping[str, Any]:
    """Hyperparameters that few runs have."""
    asked = {name: getattr(plan.training, name) for name in UNUSUAL}
    found = {name: value for name, value in asked.items() if value not in (0, SETTINGS[name]["default"])}
    return found | ({"kept_step": outcome.kept_step} if 0 < outcome.kept_step < len(outcome.losses) else {})


def draft(plan: Plan, outcome: Outcome, folder: Path) -> AdapterRecord:
    """The record to publish, its version still open."""
    hyperparameters: Mapping[str, Any] = {
        "rank": plan.method.rank,
        "alpha": plan.method.alpha,
        "dropout": plan.method.dropout,
        "target_modules": plan.method.target_modules,
        "options": plan.method.options,
        "learning_rate": plan.training.learning_rate,
        "schedule": plan.training.schedule,
        "optimizer": plan.part("optimizer").name,
        "optimizer_options": plan.options.get("optimizer", {}),
        "steps": len(outcome.losses),
        "epochs": round(plan.training.epochs * len(outcome.losses) / plan.training.steps, 4),
        "batch_size": plan.training.batch_size or None,
        "tokens_per_step": plan.training.tokens_per_step or None,
        "seed": plan.training.seed,
        "encoding": to_builtins(plan.encoding),
        **_unusual(plan, outcome),
    }
    return AdapterRecord(
        name=plan.name,
        version=0,
        kind=plan.method.keeps,
        digest=outcome.digest,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        run=outcome.run,
        base=BaseModel(
            reference=plan.model.reference,
            name=plan.model.name,
            source=plan.model.source,
            revision=plan.model.revision,
            files_digest=plan.model.digest,
            weights_digest=outcome.proof.base_after,
            dtype=plan.dtype,
            model_type=plan.model.model_type,
            family=plan.model.family,
        ),
        load=plan.load,
        template=plan.template.name,
        template_hash=plan.template.hash,
        tokenizer_hash=file_digest(folder / "tokenizer.json"),
        quantization=plan.part("quantization").name,
        method=plan.method.name,
        hyperparameters=hyperparameters,
        data_digest=plan.data.digest,
        split_rows={split.name: split.rows for split in plan.data.splits},
        plan_hash=plan.hash,
        effective=outcome.effective,
        proof=outcome.proof,
        scores=outcome.scores,
        final_loss=outcome.losses[-1],
        validation_loss=outcome.validation_loss,
        device=plan.probe.devices[0].name if plan.device != "cpu" else plan.probe.devices[-1].name,
        graftlm=__version__,
        parents=(plan.method.parent,) if plan.method.parent else (),
        thinking=plan.encoding.thinking,
        environment=f"{plan.environment} {plan.lock}".strip(),
        changes=outcome.changes,
    )
