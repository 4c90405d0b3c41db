"""Class balance, where the answers are few and repeated, and how the answers of a class are written."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graftlm.contracts.conversation import Conversation
from graftlm.data.splitting import NAMES, SplitName, class_of, folded

from .wording import quoted

MOST = 50
"""Different answers that may still be classes."""
REPEATED = 3
"""Different questions that a class has at least, on average: the same row again makes no class."""
ONE_SIDED = 0.8
"""Share of the largest class from which it is said that always giving it would score as much."""
UNEVEN = 10
"""The largest class has this many times the rows of the smallest."""
MOST_SPELLINGS = 20
"""Ways to write the answer of a class that are told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """An answer as it is written, ``rows`` that are trained on it, and the place of the first."""

    words: str
    rows: int
    first: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """``counts`` by answer (in its most frequent spelling), the largest first: rows in all, different questions, and
    rows by split. ``largest`` is the share of the largest class. ``only``: nothing but one answer is trained.
    ``spellings`` are those of the classes that have several, the most frequent first.
    """

    counts: dict[str, dict[str, int]]
    largest: float
    only: bool
    spellings: dict[str, tuple[Spelling, ...]]

    @property
    def untrained(self) -> tuple[str, ...]:
        """Classes of which no row is trained on."""
        return tuple(name for name, by_split in self.counts.items() if not by_split["train"])

    @property
    def balanced(self) -> bool:
        if len(self.counts) == 1:
            return not self.only
        return not (self.untrained or self.largest >= ONE_SIDED or self.ratio >= UNEVEN)

    @property
    def ratio(self) -> float:
        rows = [by_split["rows"] for by_split in self.counts.values()]
        return rows[0] / rows[-1]

    def said(self) -> str:
        """A sentence on how even they are."""
        rows = {name: by_split["rows"] for name, by_split in self.counts.items()}
        most, least = next(iter(rows)), list(rows)[-1]
        if len(rows) == 1 and self.only:
            return f"every answer is {quoted(most)}: nothing but this can be learned"
        if len(rows) == 1:
            return f"the last answer is always {quoted(most)}: only what is trained beside it can be learned"
        even = (
            f"the {len(rows)} different answers are classes: {quoted(most)} {rows[most]:,} times, {quoted(least)} "
            f"{rows[least]:,} times"
        )
        if self.largest >= ONE_SIDED:
            even += f"; always saying {quoted(most)} would be right in {self.largest:.0%} of the rows"
        return f"{even}; they are balanced well enough" if self.balanced else f"{even}{''.join(self._left_out())}"

    def _left_out(self) -> Iterator[str]:
        """Classes that are not trained, by whether a stratified split could help."""
        several = [name for name in self.untrained if self.counts[name]["questions"] > 1]
        single = [name for name in self.untrained if self.counts[name]["questions"] == 1]
        if several:
            names = ", ".join(map(quoted, several[:5]))
            yield f"; no row of {names} is in the training split (graftlm data split --stratify sees to that)"
        if single:
            names = ", ".join(map(quoted, single[:5]))
            yield f"; {names} {'answers' if len(single) == 1 else 'answer'} one question, which is not trained on"


@dataclass(slots=True)
class _Class:
    number: int
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("rows", "questions", *NAMES), 0))
    spellings: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, split: SplitName, conversation: Conversation) -> None:
        self.counts["rows"] += 1
        self.counts[split] += 1
        if conversation.messages[-1].train is False:
            return
        spelled = self.spellings.get(conversation.answer)
        if spelled is not None:
            spelled[0] += 1
        elif len(self.spellings) < MOST_SPELLINGS:
            self.spellings[conversation.answer] = [1, conversation.source]

    def spelled(self) -> tuple[Spelling, ...]:
        found = (Spelling(words=words, rows=rows, first=first) for words, (rows, first) in self.spellings.items())
        return tuple(sorted(found, key=lambda spelling: -spelling.rows))


class ClassCounts:
    """Answers as they go by; it stops counting as soon as they are too many, or none of a class. ``train_on`` as
    ``graftlm train`` takes it.
    """

    def __init__(self, train_on: str) -> None:
        self._classes: dict[str, _Class] | None = {}
        self._numbers = array("B")
        self._train_on = train_on
        self._trained: set[str] = set()
        """What is trained, two different things at most."""

    def add(self, split: SplitName, conversation: Conversation) -> None:
        if self._classes is None:
            return
        label = class_of(conversation)
        if not label or (label not in self._classes and len(self._classes) == MOST):
            self._classes, self._numbers = None, array("B")
            return
        found = self._classes.setdefault(label, _Class(len(self._classes)))
        found.add(split, conversation)
        self._numbers.append(found.number)
        if len(self._trained) < 2:
            self._trained |= self._trained_of(conversation)

    def _trained_of(self, conversation: Conversation) -> set[str]:
        if self._train_on == "all":
            return {m.role for m in conversation.messages}
        answers = [m for m in conversation.messages if m.role == "assistant"]
        last = answers[-1:] if self._train_on == "last" else answers
        return {f"{folded(m.content)}{m.tool_calls or ''}" for m in last if m.train is not False}

    def classes(self, asked: NDArray[np.uint64]) -> Classes | None:
        """None where the answers are no classes. ``asked`` are the rows' fingerprints."""
        if not self._classes:
            return None
        numbers: NDArray[np.uint8] = np.frombuffer(self._numbers, np.uint8)
        for found in self._classes.values():
            found.counts["questions"] = len(np.unique(asked[numbers == found.number]))
        if sum(found.counts["questions"] for found in self._classes.values()) < REPEATED * len(self._classes):
            return None
        ordered = sorted(self._classes.items(), key=lambda item: (-item[1].counts["rows"], item[0]))
        named = [(found.spelled(), label, found) for label, found in ordered]
        names = [spelled[0].words if spelled else label for spelled, label, _ in named]
        return Classes(
            counts={name: found.counts for name, (_, _, found) in zip(names, named, strict=True)},
            largest=ordered[0][1].counts["rows"] / len(numbers),
            only=len(self._trained) == 1 and len(ordered) == 1,
            spellings={name: spelled for name, (spelled, *_) in zip(names, named, strict=True) if len(spelled) > 1},
        )
