"""Rows are answered and scored by a worker, once: what was answered is kept, and found again."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import StoreError
from graftlm.contracts.job import GivenAnswer, ScoreJob, ScoreTask
from graftlm.contracts.outcome import Score
from graftlm.contracts.serial import digest, from_json, to_json
from graftlm.data.rows import write_row
from graftlm.data.samples import read_samples
from graftlm.planning.kept import kept_value
from graftlm.running.worker_process import OnEvent, StartWorker, run_worker
from graftlm.source import code_digest
from graftlm_registry.adapters.content import content_digest
from graftlm_registry.home import beside, home, sweep

from .subjects import Subject

PACKAGES = ("torch", "transformers", "peft", "tokenizers")
THOUGHTS = 2048
"""Tokens that a model may take which is asked to reason: no row says how long its thoughts are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Rows to be answered and scored, each with its right answer.

    ``evaluators`` are the subject's where none are named. ``max_new_tokens`` is 0 where the longest right answer says
    how long an answer may get. With a ``marker``, an answer is what stands after its last occurrence in what is said.
    """

    name: str
    rows: Sequence[Conversation]
    evaluators: tuple[str, ...] = ()
    max_new_tokens: int = 0
    marker: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A task that was carried out. ``folder`` holds ``rows.jsonl``, ``answers.jsonl``, the samples of each evaluator in
    ``EVALUATOR.jsonl`` and ``scores.json``: all that a figure can be traced by.
    """

    task: Task
    scores: tuple[Score, ...]
    folder: Path
    evaluators: tuple[str, ...]

    def score(self, metric: str) -> Score:
        return next(score for score in self.scores if score.metric == metric)

    def answers(self) -> tuple[GivenAnswer, ...]:
        """What was said, whole, in the order of the rows; nothing where no evaluator asked for answers."""
        path = self.folder / "answers.jsonl"
        lines = path.read_bytes().splitlines() if path.is_file() else []
        found = {answer.row: answer for answer in (from_json(line, GivenAnswer, str(path)) for line in lines)}
        return tuple(found[row] for row in sorted(found))

    def samples(self, evaluator: str) -> tuple[Mapping[str, Any], ...]:
        """One a row; ``each`` holds the row's numbers by metric."""
        return read_samples(self.folder / f"{evaluator}.jsonl")


def score(
    subject: Subject, tasks: Sequence[Task], on_event: OnEvent, start: StartWorker | None = None
) -> tuple[Scored, ...]:
    """Every task, in order. One that was scored before is found again; one that was stopped goes on where it was."""
    root = home() / "cache" / "scores"
    known = identity(subject)
    planned = [_planned(task, subject, root, known) for task in tasks]
    missing = tuple({p.folder: p for p in planned if kept_scores(Path(p.folder)) is None}.values())
    try:
        for task, plan in zip(tasks, planned, strict=True):
            _write_rows(Path(plan.folder), task.rows)
        if missing:
            _work(ScoreJob(
                who=subject.who, encoding=subject.encoding, tasks=missing, options=subject.options,
                moment=subject.moment,
            ), on_event, start or run_worker)  # fmt: skip
    except OSError as error:
        raise StoreError(f"{error.filename or root} cannot be written: {error.strerror}") from None
    sweep(root)
    return tuple(
        Scored(
            task=task,
            scores=_scores(Path(p.folder)),
            folder=Path(p.folder),
            evaluators=p.evaluators,
        )
        for task, p in zip(tasks, planned, strict=True)
    )


def kept_scores(folder: Path) -> tuple[Score, ...] | None:
    """None where there are none, or none that can be read: they are made again."""
    return kept_value(folder / "scores.json", tuple[Score, ...])


def _scores(folder: Path) -> tuple[Score, ...]:
    found = kept_scores(folder)
    if found is None:
        raise StoreError(f"the scores in {folder} are gone: is the disk full, or has somebody cleaned up? Start again")
    return found


def _planned(task: Task, subject: Subject, root: Path, known: str) -> ScoreTask:
    evaluators = task.evaluators or subject.evaluators
    rows = [(row.messages, row.tools, row.capability) for row in task.rows]
    room = task.max_new_tokens or (THOUGHTS if subject.encoding.thinking else 0)
    key = digest([known, rows, evaluators, task.name, room, task.marker])[:32]
    return ScoreTask(
        name=task.name,
        rows=str(root / key / "rows.jsonl"),
        count=len(task.rows),
        folder=str(root / key),
        evaluators=evaluators,
        max_new_tokens=room,
        marker=task.marker,
    )


def identity(subject: Subject) -> str:
    """Of all that an answer depends on, wherever it lies."""
    who, folder = subject.who, Path(subject.who.model)
    weights = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(folder.glob("*.safetensors"))]
    kept = [content_digest(Path(who.kept.folder)), who.kept.method, who.kept.rope] if who.kept else []
    plan = subject.plan
    model = [plan.model.digest, who.weights, weights if who.weights == "files" else [], kept, who.load, who.device]
    words = [who.template, plan.template.hash, plan.template.made_of, who.today, who.thinking, subject.encoding]
    versions = {name: version for name, version in plan.probe.versions.items() if name in PACKAGES}
    return digest([model, words, subject.options, plan.scored_by, subject.moment, versions, code_digest()])


def _write_rows(folder: Path, rows: Sequence[Conversation]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    path = folder / "rows.jsonl"
    if not path.is_file():
        fresh = beside(path)
        fresh.write_bytes(b"".join(map(write_row, rows)))
        fresh.replace(path)


def _work(job: ScoreJob, on_event: OnEvent, start: StartWorker) -> None:
    folder = Path(tempfile.mkdtemp(prefix="graftlm-"))
    try:
        (folder / "job.json").write_bytes(to_json(job))
        start("score", folder, on_event)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
