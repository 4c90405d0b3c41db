"""``eval``: models and adapters scored on the same rows, or tasks; an adapter's scores are kept with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from graftlm.contracts.config import RunConfig
from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import DataError, GraftlmError, StoreError, UsageError
from graftlm.contracts.evaluated import EvaluationRecord
from graftlm.contracts.serial import digest, from_json, to_json
from graftlm.data.inputs import folder_splits
from graftlm.data.samples import file_word
from graftlm.planning.data_plan import OTHERS
from graftlm.planning.resolve import STDIN
from graftlm.running.worker_process import OnEvent, StartWorker
from graftlm.version import __version__
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import Registry

from .harness import OwnTasks, own_tasks, score_tasks
from .scoring import PACKAGES, Scored, Task, score
from .subjects import Subject, of_base, of_stored, rows_of

ALL = "all"
ROWS = (ALL, "test", "validation", "train")
RECORD = "evaluation.json"


@dataclass(frozen=True, slots=True)
class Evaluated:
    """``scored`` has a task for each capability, or the evaluator's own; ``kept`` is the folder beside the adapter's
    record, for an adapter.
    """

    subject: Subject
    record: EvaluationRecord
    scored: tuple[Scored, ...]
    kept: Path | None


def chosen_rows(config: RunConfig, rows: str) -> tuple[RunConfig, str]:
    """The settings and the split to be scored. Without a word: the test rows of a folder that has them in a file of
    their own, else all rows.
    """
    named = bool(config.test_data or config.val_data) or bool(folder_splits(str(config.data)))
    if not rows:
        rows = "test" if named else ALL
    if rows != ALL:
        return config, rows
    if named:
        raise UsageError("--rows all: this data comes as splits of their own: name one (--rows test), or one file")
    for name in ("val_split", "test_split", "split_rule"):
        if getattr(config, name) is not None:
            raise UsageError(
                f"--{name.replace('_', '-')} says which rows are which: say which to score, as --rows test"
            )
    return replace(config, val_split=0.0, test_split=0.0), "train"


def evaluate(
    config: RunConfig,
    models: Sequence[str],
    adapters: Sequence[str],
    rows: str,
    registry: Registry,
    on_event: OnEvent,
    start: StartWorker | None = None,
) -> Iterator[Evaluated]:
    """Everybody in turn, models first. ``UsageError`` where nobody is named."""
    if not models and not adapters:
        raise UsageError("nobody to score: give --model M, --adapter NAME, or several of them")
    tasks = own_tasks(config, rows, registry)
    if tasks is not None:
        for subject in _subjects(tasks.config(config), models, adapters, registry):
            scored = score_tasks(subject, tasks, registry, on_event, start)
            yield _kept(subject, _of_tasks(subject, tasks, scored), scored)
        return
    data = config.data
    if not data:
        raise UsageError("no data: give rows to score on, as in 'graftlm eval data.jsonl --model tiny-mistral'")
    config, split = chosen_rows(config, rows)
    for subject in _subjects(config, models, adapters, registry):
        found = rows_of(subject.plan, split, registry)
        if not found:
            raise DataError(f"{data} has no {rows or 'test'} rows")
        scored = score(subject, list(_tasks(found)), on_event, start)
        yield _kept(subject, _of_rows(subject, found, scored, data), scored)


def _subjects(
    config: RunConfig, models: Sequence[str], adapters: Sequence[str], registry: Registry
) -> Sequence[Subject]:
    """All of them before the first is scored: what is wrong with the last is said at once."""
    found: list[Subject] = []
    for model in models:
        found.append(of_base(replace(_read(config, found), model=model), registry))
    for adapter in adapters:
        found.append(of_stored(adapter, _read(config, found), registry))
    return found


def _read(config: RunConfig, found: Sequence[Subject]) -> RunConfig:
    """Standard input can be read once: for all but the first, its copy is the data."""
    return replace(config, data=found[0].plan.settings["data"]) if found and config.data == STDIN else config


def _tasks(rows: Sequence[Conversation]) -> Iterator[Task]:
    """One for each capability that the rows name."""
    by_name: dict[str, list[Conversation]] = {}
    for row in rows:
        by_name.setdefault(row.capability, []).append(row)
    for name, theirs in sorted(by_name.items()):
        yield Task(name=name or ("rows" if len(by_name) == 1 else OTHERS), rows=theirs)


def _of_rows(subject: Subject, rows: Sequence[Conversation], scored: Sequence[Scored], data: str) -> EvaluationRecord:
    return EvaluationRecord(
        subject=subject.name,
        data=str(Path(data).resolve()) if Path(data).exists() else "standard input" if data == STDIN else data,
        rows=len(rows),
        digest=digest([(row.messages, row.tools, row.capability) for row in rows])[:16],
        evaluators=subject.evaluators,
        options=subject.options,
        scores=tuple(score for each in scored for score in each.scores),
        device=subject.who.device,
        dtype=subject.who.load.dtype,
        versions={name: v for name, v in subject.plan.probe.versions.items() if name in PACKAGES},
        graftlm=__version__,
        created=_now(),
    )


def _of_tasks(subject: Subject, tasks: OwnTasks, scored: Sequence[Scored]) -> EvaluationRecord:
    installed = subject.plan.probe.versions.get if tasks.manifest is None else tasks.manifest.version
    versions = {name: installed(name) for name in (*PACKAGES, tasks.spec.name)}
    return EvaluationRecord(
        subject=subject.name,
        data=str(tasks.folder or ""),
        rows=sum(len(each.samples(tasks.spec.name)) for each in scored),
        digest=digest([tasks.digest, [each.task.name for each in scored]])[:16],
        evaluators=(tasks.spec.name,),
        options=tasks.options,
        scores=tuple(score for each in scored for score in each.scores),
        device=subject.who.device,
        dtype=subject.who.load.dtype,
        versions={name: version for name, version in versions.items() if version},
        graftlm=__version__,
        created=_now(),
        environment=tasks.environment,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _kept(subject: Subject, record: EvaluationRecord, scored: tuple[Scored, ...]) -> Evaluated:
    kept = None if subject.record is None else _attach(record, scored)
    return Evaluated(subject, record, scored, kept)


def _attach(record: EvaluationRecord, scored: Sequence[Scored]) -> Path:
    """The same rows scored alike give the same name: it is kept once."""
    store = open_store()
    places = [s.folder.parts[-2:] for s in scored]
    name = f"{record.digest}-{digest([replace(record, created='', data=''), places])[:12]}"
    for folder in store.evaluations(record.subject):
        if folder.name == name:
            return folder
    staged = store.stage()
    try:
        (staged / RECORD).write_bytes(to_json(record))
        for each in scored:
            for path in each.folder.glob("*.jsonl"):
                shutil.copyfile(path, staged / f"{file_word(each.task.name)}.{path.name}")
        return store.attach(record.subject, staged, name)
    except OSError as error:
        raise StoreError(f"the evaluation cannot be kept: {error}") from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def kept_evaluations(
    reference: str, damaged: Callable[[GraftlmError], None]
) -> tuple[tuple[EvaluationRecord, Path], ...]:
    """Of an adapter, the oldest first; one that cannot be read is told to ``damaged``."""
    found = []
    for folder in open_store().evaluations(reference):
        path = folder / RECORD
        try:
            found.append((from_json(path.read_bytes(), EvaluationRecord, str(path)), folder))
        except OSError as error:
            damaged(StoreError(f"{path} cannot be read: {error.strerror}"))
        except GraftlmError as error:
            damaged(error)
    return tuple(sorted(found, key=lambda pair: pair[0].created))
