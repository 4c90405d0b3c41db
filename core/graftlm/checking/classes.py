"""Class balance, where the answers are few and repeated."""

from __future__ import annotations

from dataclasses import dataclass

from graftlm.contracts.conversation import Conversation
from graftlm.data.splitting import NAMES, SplitName, class_of

MOST = 50
"""Different answers that may still be classes."""
REPEATED = 3
"""Rows that a class has at least, on average."""
ONE_SIDED = 0.8
"""Share of the largest class from which it is said that always giving it would score as much."""
UNEVEN = 10
"""The largest class has this many times the rows of the smallest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """``counts`` by answer (in lower case), the largest first: rows in all, and by split. ``largest`` is the share of
    the largest class.
    """

    counts: dict[str, dict[str, int]]
    largest: float

    @property
    def untrained(self) -> tuple[str, ...]:
        """Classes of which no row is trained on."""
        return tuple(name for name, by_split in self.counts.items() if not by_split["train"])

    @property
    def balanced(self) -> bool:
        return not (self.untrained or self.largest >= ONE_SIDED or self.ratio >= UNEVEN)

    @property
    def ratio(self) -> float:
        rows = [by_split["rows"] for by_split in self.counts.values()]
        return rows[0] / rows[-1]

    def said(self) -> str:
        """A sentence on how even they are."""
        rows = {name: by_split["rows"] for name, by_split in self.counts.items()}
        most, least = next(iter(rows)), list(rows)[-1]
        counted = f"the {len(rows)} different answers are classes"
        if len(rows) == 1:
            return f"every answer is '{most}': nothing but this can be learned"
        even = f"{counted}: '{most}' {rows[most]:,} times, '{least}' {rows[least]:,} times"
        if self.largest >= ONE_SIDED:
            even += f"; always saying '{most}' would be right in {self.largest:.0%} of the rows"
        if self.untrained:
            names = ", ".join(f"'{name}'" for name in self.untrained[:5])
            even += f"; no row of {names} is in the training split (graftlm data split --stratify sees to that)"
        return even if not self.balanced else f"{even}; they are balanced well enough"


class ClassCounts:
    """Answers as they go by; it stops counting as soon as they are too many, or none of a class."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, int]] | None = {}

    def add(self, split: SplitName, conversation: Conversation) -> None:
        if self._counts is None:
            return
        label = class_of(conversation)
        if not label or (label not in self._counts and len(self._counts) == MOST):
            self._counts = None
            return
        counts = self._counts.setdefault(label, {"rows": 0, **dict.fromkeys(NAMES, 0)})
        counts["rows"] += 1
        counts[split] += 1

    def classes(self) -> Classes | None:
        """None where the answers are no classes."""
        rows = sum(c["rows"] for c in (self._counts or {}).values())
        if not self._counts or rows < REPEATED * len(self._counts):
            return None
        ordered = dict(sorted(self._counts.items(), key=lambda item: (-item[1]["rows"], item[0])))
        return Classes(counts=ordered, largest=next(iter(ordered.values()))["rows"] / rows)
