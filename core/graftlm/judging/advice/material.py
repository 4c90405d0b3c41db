"""The rows that advice is taken from: those that are asked, and those that may be shown as examples."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import DataError
from graftlm.data.rows import content
from graftlm.data.splitting import class_of, fingerprint

REPEATED = 3
"""Different questions that a class has at least, on average: ``graftlm data check`` draws the line there too."""
POOL = 5000
"""Training rows that examples are chosen from, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """``asked`` are validation rows, of ``held`` in all. ``pool`` are training rows, one a question, that examples are
    chosen from; ``train`` are all. ``classes`` are the answers where they are classes, else nothing. ``leaked`` counts
    asked rows that are trained on too.
    """

    asked: tuple[Conversation, ...]
    held: int
    train: tuple[Conversation, ...]
    pool: tuple[Conversation, ...]
    classes: tuple[str, ...]
    leaked: int

    @property
    def choosable(self) -> int:
        """Examples that every row can have: none asks what the row asks."""
        return len(self.pool) - (1 if self.leaked else 0)


def material(train: Sequence[Conversation], held: Sequence[Conversation], limit: int) -> Material:
    """At most ``limit`` rows are asked. Which rows are taken depends on their words, not on their order in a file.

    ``DataError`` where there is nothing to ask.
    """
    taught = tuple(row for row in train if answered(row))
    questions = tuple(row for row in held if answered(row))
    if not held:
        raise DataError(
            "there are no validation rows to ask: --val-split 0.2 takes a fifth of the rows for that, or "
            "--val-data FILE names them"
        )
    if not questions:
        raise DataError(
            "no validation row is a question with an answer: advice is for conversations, and not for plain text"
        )
    asked = tuple(sorted(questions, key=_place)[:limit])
    known = {fingerprint(row) for row in taught}
    return Material(
        asked=asked,
        held=len(questions),
        train=taught,
        pool=tuple(_once(sorted(taught, key=_place)))[:POOL],
        classes=classes_of(taught),
        leaked=sum(fingerprint(row) in known for row in asked),
    )


def answered(row: Conversation) -> bool:
    """It asks something, and ends with an answer."""
    last = row.messages[-1] if row.messages else None
    said = last is not None and last.role == "assistant" and bool(last.content.strip() or last.tool_calls)
    return said and any(m.role == "user" for m in row.messages)


def classes_of(rows: Iterable[Conversation]) -> tuple[str, ...]:
    """The answers, in alphabetical order, where each is short and stands after several questions; else nothing."""
    questions: dict[str, set[int]] = {}
    for row in rows:
        label = class_of(row)
        if not label:
            return ()
        questions.setdefault(label, set()).add(fingerprint(row))
    enough = sum(map(len, questions.values())) >= REPEATED * len(questions)
    return tuple(sorted(questions)) if enough else ()


def _place(row: Conversation) -> bytes:
    """Of another hash than the one that splits rows."""
    return hashlib.sha256(b"advice" + content(row)).digest()


def _once(rows: Iterable[Conversation]) -> Iterable[Conversation]:
    seen: set[int] = set()
    for row in rows:
        mark = fingerprint(row)
        if mark not in seen:
            seen.add(mark)
            yield row
