"""A model scored after its training: the job of an evaluator with tasks of its own, and what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .job import Answerer
from .outcome import Score


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRecord:
    """Attached to an adapter, never changed. ``subject`` is an adapter's reference or a model's name; ``data`` says
    where the rows, or the tasks, lay, ``rows`` how many they were, ``digest`` what they were. ``versions`` are of the
    packages that answered. Beside it lie its samples, as ``TASK.answers.jsonl`` and ``TASK.EVALUATOR.jsonl``.
    ``created`` is UTC in ISO 8601. ``environment`` is the evaluator's own, with its lock.
    """

    subject: str
    data: str
    rows: int
    digest: str
    evaluators: tuple[str, ...]
    options: Mapping[str, Any]
    scores: tuple[Score, ...]
    device: str
    dtype: str
    versions: Mapping[str, str]
    graftlm: str
    created: str
    environment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessJob:
    """An evaluator scores tasks of its own; ``folder`` keeps a folder a task, and ``tasks.json`` with their names once
    all are scored. ``tasks`` is the user's folder, or empty. ``code`` is the digest of the front's graftlm.
    """

    who: Answerer
    evaluator: str
    options: Mapping[str, Any]
    tasks: str
    folder: str
    moment: Literal["before", "after"]
    code: str
