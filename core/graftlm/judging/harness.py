"""An evaluator that brings tasks of its own scores models on them: in its own environment, each task once."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import PluginError, StoreError, UsageError
from graftlm.contracts.evaluated import HarnessJob
from graftlm.contracts.outcome import Score
from graftlm.contracts.serial import digest, file_digest, from_json, to_json
from graftlm.contracts.specs import Evaluator, Quantization, TuningMethod
from graftlm.environments.declared import find
from graftlm.environments.interpreter import BASE, Interpreter
from graftlm.environments.manifest import Manifest
from graftlm.environments.state import state_of
from graftlm.planning.plugin_options import plugin_options
from graftlm.planning.requirements import missing
from graftlm.planning.selection import names
from graftlm.running.worker_process import OnEvent, StartWorker, run_worker
from graftlm.source import code_digest
from graftlm_registry.home import home, keep, sweep
from graftlm_registry.plugins import Registry

from .scoring import Scored, Task, identity
from .subjects import Subject

OF_ROWS = ("val_data", "test_data", "val_split", "test_split", "split_rule", "split", "format", "columns")
"""Settings that are about rows, which nobody scores here."""
NO_ROWS = b'{"prompt": "A plan needs a row.", "completion": "Nobody is asked this one."}\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTasks:
    """What is to be scored: ``folder`` is the user's, or None. ``digest`` is of its files; ``at`` is where the
    evaluator runs, and ``manifest`` what is installed there, None for the base environment.
    """

    spec: Evaluator
    options: Mapping[str, Any]
    folder: Path | None
    digest: str
    at: Interpreter
    manifest: Manifest | None

    @property
    def environment(self) -> str:
        return f"{self.at.environment} {self.at.lock}".strip()

    def config(self, config: RunConfig) -> RunConfig:
        """The settings for a plan of those who are scored."""
        row = home() / "cache" / "no-rows.jsonl"
        if not row.is_file():
            keep(row, NO_ROWS)
        options = {kind: values for kind, values in (config.options or {}).items() if kind != "evaluator"}
        return replace(
            config, data=str(row), format="auto", val_split=0.0, test_split=0.0, evaluator=None, options=options or None
        )


def own_tasks(config: RunConfig, rows: str, registry: Registry) -> OwnTasks | None:
    """None where evaluators score rows. Raises with what is to be done where the chosen one cannot run."""
    chosen = [registry.get(Evaluator, name) for name in names(config.evaluator)] if config.evaluator else []
    spec = next((each for each in chosen if each.own_tasks), None)
    if spec is None:
        return None
    if len(chosen) > 1:
        raise UsageError(f"{spec.name} brings tasks of its own and scores no rows: give it a command of its own")
    if said := "rows" if rows else next((name for name in OF_ROWS if getattr(config, name) is not None), ""):
        raise UsageError(f"--{said.replace('_', '-')} is about rows, and {spec.name} brings tasks of its own")
    options = plugin_options([spec], {"evaluator": (config.options or {}).get("evaluator", {})})["evaluator"]
    folder = Path(config.data).expanduser().resolve() if config.data else None
    if folder is not None and not folder.is_dir():
        raise UsageError(f"{spec.name} takes a folder of tasks, and {config.data} is none")
    problems = spec.check(options) if spec.check else ()
    if not folder and not options.get("tasks"):
        problems = ("nothing to score: give a folder of tasks, or --set evaluator.tasks=NAME,…", *problems)
    if problems:
        raise UsageError(f"{spec.name}: {problems[0]}")
    at, manifest = _where(spec, registry)
    return OwnTasks(
        spec=spec,
        options=options,
        folder=folder,
        digest=_digest(folder) if folder else "",
        at=replace(at, variables={**at.variables, "HF_HUB_OFFLINE": "1"}) if config.offline else at,
        manifest=manifest,
    )


def _where(spec: Evaluator, registry: Registry) -> tuple[Interpreter, Manifest | None]:
    if spec.environment is None:
        return BASE, None
    state = state_of(find(spec.environment.name, registry), registry)
    if state.kind != "ready":
        raise PluginError(f"evaluator {spec.name} {state.problem}")
    return state.interpreter(), state.manifest


def _digest(folder: Path) -> str:
    """Of all files that tasks may read there."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return digest([(path.relative_to(folder).as_posix(), file_digest(path)) for path in files])


def score_tasks(
    subject: Subject, tasks: OwnTasks, registry: Registry, on_event: OnEvent, start: StartWorker | None = None
) -> tuple[Scored, ...]:
    """Every task, in the evaluator's order. One that was scored before is found again."""
    _check_packages(subject, tasks, registry)
    root = home() / "cache" / "scores"
    made_of = [identity(subject), tasks.spec.name, tasks.environment, tasks.options, tasks.digest]
    folder = root / digest(made_of)[:32]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        if not (folder / "tasks.json").is_file():
            _work(subject, tasks, folder, on_event, start or run_worker)
    except OSError as error:
        raise StoreError(f"{error.filename or root} cannot be written: {error.strerror}") from None
    sweep(root)
    return tuple(
        Scored(
            task=Task(name=name, rows=()),
            scores=from_json((folder / name / "scores.json").read_bytes(), tuple[Score, ...], "the scores"),
            folder=folder / name,
            evaluators=(tasks.spec.name,),
        )
        for name in from_json((folder / "tasks.json").read_bytes(), tuple[str, ...], "the tasks")
    )


def _check_packages(subject: Subject, tasks: OwnTasks, registry: Registry) -> None:
    """``PluginError`` where the evaluator's environment cannot load the model as it is to be loaded."""
    who, manifest = subject.who, tasks.manifest
    if manifest is None:
        return
    requires = list(registry.get(Quantization, who.load.quantization).requires)
    if who.kept is not None:
        requires += registry.get(TuningMethod, who.kept.method).requires
    any_version = (replace(each, minimum="", below="") for each in requires)  # ranges are of the base environment
    if problems := missing(any_version, manifest.version, f"graftlm envs create {manifest.name} --with "):
        raise PluginError(f"{subject.name} {problems[0].replace('backend', 'evaluator')}")


def _work(subject: Subject, tasks: OwnTasks, kept: Path, on_event: OnEvent, start: StartWorker) -> None:
    folder = Path(tempfile.mkdtemp(prefix="graftlm-"))
    job = HarnessJob(
        who=subject.who,
        evaluator=tasks.spec.name,
        options=tasks.options,
        tasks=str(tasks.folder or ""),
        folder=str(kept),
        moment=subject.moment,
        code=code_digest(),
    )
    try:
        (folder / "job.json").write_bytes(to_json(job))
        start("harness", folder, on_event, at=tasks.at)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
