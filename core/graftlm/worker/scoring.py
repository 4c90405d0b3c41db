"""The job ``score``: a model answers the rows of several tasks, and evaluators score the answers.

Answers are kept as they come, batch by batch: a job that was stopped goes on where it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from graftlm.chat_templates.binding import bound, own_template
from graftlm.contracts.errors import GraftlmError, RunError
from graftlm.contracts.job import GivenAnswer, ScoreJob, ScoreTask
from graftlm.contracts.outcome import Score
from graftlm.contracts.serial import from_json, to_json
from graftlm.contracts.specs import Evaluator, PromptTemplate
from graftlm.data.rows import read_row
from graftlm.encoding.tokenizing import SpanTokenizer
from graftlm_registry.home import keep as keep_file
from graftlm_registry.plugins import registry

from .asking import Asked, Asking
from .evaluation import unfit_said
from .events import Events
from .kept import answering_model
from .measured import Measured
from .targets import resolve_target

ANSWERS, SCORES = "answers.jsonl", "scores.json"


def score_job(folder: Path, events: Events) -> None:
    """Carry out ``FOLDER/job.json``. A task's folder holds its answers, each evaluator's samples, and its scores, which
    are written last.
    """
    job = from_json((folder / "job.json").read_bytes(), ScoreJob, "the job")
    total = sum(task.count for task in job.tasks)
    events.progress("load", 0, total)
    with own_template(Path(job.who.model), job.who.today) as own:
        template = bound(registry().get(PromptTemplate, job.who.template), own)
        asked = Asked(
            answering_model(job.who), job.who.device, template, SpanTokenizer.from_folder(Path(job.who.model)),
            job.encoding, job.options, events.checkpoint,
        )  # fmt: skip
        done = 0
        for task in job.tasks:
            _carry_out(task, job, asked, events, done, total)
            done += task.count
    events.send("done")


def _carry_out(task: ScoreTask, job: ScoreJob, asked: Asked, events: Events, done: int, total: int) -> None:
    with Path(task.rows).open("rb") as file:
        rows = [read_row(line) for line in file]
    if len(rows) != task.count:
        raise RunError(f"{task.rows} has {len(rows)} rows, and {task.count} were to be scored")
    place = Path(task.folder)
    place.mkdir(parents=True, exist_ok=True)
    known = list(_kept_answers(place / ANSWERS))
    answered = len(known)
    with (place / ANSWERS).open("ab") as kept:

        def keep(answers: Sequence[GivenAnswer]) -> None:
            nonlocal answered
            kept.write(b"".join(to_json(answer) + b"\n" for answer in answers))
            kept.flush()
            answered += len(answers)
            events.progress(f"answer {task.name}", done + min(answered, task.count), total)

        asking = Asking(asked, rows, longest=task.max_new_tokens, marker=task.marker, known=known, keep=keep)
        scores: list[Score] = []
        for name in task.evaluators:
            spec = registry().get(Evaluator, name)
            measured = Measured(task.name, "new", spec, resolve_target(spec.target)(asking), task.count).sound()
            measured.write(place / f"{name}.jsonl")
            scores += measured.scores(job.moment)
    if unfit := asking.unfit():
        events.warning(unfit_said(unfit, task.count, task.name))
    keep_file(place / SCORES, to_json(scores))


def _kept_answers(path: Path) -> Iterator[GivenAnswer]:
    """The last answer to each row. Half a line of a job that died is none, and is cut off: more lines are to follow."""
    found: dict[int, GivenAnswer] = {}
    if path.is_file():
        *whole, half = path.read_bytes().split(b"\n")
        if half:
            os.truncate(path, path.stat().st_size - len(half))
        for line in whole:
            with suppress(GraftlmError):  # it is asked again
                answer = from_json(line, GivenAnswer, str(path))
                found[answer.row] = answer
    yield from found.values()
