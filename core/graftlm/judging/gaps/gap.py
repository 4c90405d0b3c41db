"""The gap of one subject: its validation rows answered, and where the wrong ones are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import DataError, UsageError
from graftlm.contracts.specs import Evaluator
from graftlm.data.rows import read_row
from graftlm.data.splitting import class_of
from graftlm.judging.scoring import Scored, Task, score
from graftlm.judging.subjects import Subject, rows_of
from graftlm.running.rows import kept_rows
from graftlm.running.worker_process import OnEvent, StartWorker
from graftlm_registry.plugins import Registry
from graftlm_registry.suggestions import unknown

from .answered import AnsweredRow, Rule, answered_rows, chosen
from .breakdown import Breakdown, Group, breakdowns, by_kind, group
from .conclusion import conclusion
from .confusion import Confusion, confusion
from .expected import classes_among

TASK = "gap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """``validation_rows`` is how many there are, of which ``every.n`` were asked. Shares of ``kinds`` are of all of
    these. ``folder`` holds the per-sample files. ``classes`` are folded answers, or nothing.
    """

    subject: str
    data: str
    validation_rows: int
    rule: Rule
    every: Group
    kinds: tuple[Group, ...]
    parts: tuple[Breakdown, ...]
    confusion: Confusion | None
    conclusion: tuple[str, ...]
    classes: tuple[str, ...]
    rows: tuple[AnsweredRow, ...]
    folder: str


def measure(
    subject: Subject,
    registry: Registry,
    on_event: OnEvent,
    *,
    limit: int,
    metric: str = "",
    start: StartWorker | None = None,
) -> Gap:
    """``DataError`` where there are no validation rows, or they ask nothing. ``metric`` is as in ``answered_rows``."""
    rows = rows_of(subject.plan, "validation", registry)
    if not rows:
        raise DataError(
            f"{subject.plan.settings['data']} has no validation rows, and a gap is looked for in these alone: give "
            "them with --val-data FILE, or a share of DATA with --val-split 0.2"
        )
    if any(row.is_document for row in rows):
        raise DataError("a text without turns asks nothing: 'gap' needs rows with prompts and right answers")
    named = {m.name for name in subject.evaluators for m in registry.get(Evaluator, name).metrics}
    if metric and metric not in named:
        raise UsageError(unknown("metric", metric, sorted(named)))
    asked = chosen(rows, limit)
    scored = score(subject, [Task(name=TASK, rows=asked)], on_event, start)[0]
    return found(subject, len(rows), scored, _classes(subject, rows, registry), metric)


def found(subject: Subject, validation_rows: int, scored: Scored, classes: frozenset[str], metric: str) -> Gap:
    """What the scored rows tell."""
    rows, rule = answered_rows(scored, classes, metric)
    every = group("all", len(rows), sum(row.wrong for row in rows))
    kinds, parts = by_kind(rows), breakdowns(rows)
    return Gap(
        subject=subject.name,
        data=str(subject.plan.settings["data"]),
        validation_rows=validation_rows,
        rule=rule,
        every=every,
        kinds=kinds,
        parts=parts,
        confusion=confusion(rows),
        conclusion=conclusion(every, kinds, parts),
        classes=tuple(sorted(classes)),
        rows=rows,
        folder=str(scored.folder),
    )


def _classes(subject: Subject, rows: Sequence[Conversation], registry: Registry) -> frozenset[str]:
    """Validation rows alone may be too few to tell; training rows are looked at one by one."""
    wanted = Counter(map(class_of, rows))
    if "" in wanted:
        return frozenset()
    with (kept_rows(subject.plan, registry) / "train.jsonl").open("rb") as file:
        wanted.update(map(class_of, map(read_row, file)))
    return frozenset(wanted) - {""} if "classification" in subject.evaluators else classes_among(wanted)
