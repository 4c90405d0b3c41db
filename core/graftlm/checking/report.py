"""What a check of data found, as ``graftlm data check --json`` prints it.

Every field stays what it is: fields are added, none is renamed. A place is ``file:line``, as a row's ``source``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .bad_text import BadText
from .classes import Classes
from .contents import Contents
from .faults import Faults
from .fields import UnusedField
from .oddities import Oddities
from .sameness import Duplicates, Leaks
from .samples import Samples

Level = Literal["error", "warning", "information"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """Rows that are nearly the same as one before them (``rows``), at a Jaccard similarity of ``threshold`` or more of
    their words and pairs of words, and rows kept for validation or test that resemble one that is trained on
    (``leaks``). Firsts are (place, the other's place, similarity). ``shared`` is the share of all words and pairs that
    more than half of the (first) rows have; they are left out. ``complete`` is false where there were too many alike to
    compare them all.
    """

    threshold: float
    rows: int
    first: tuple[tuple[str, str, float], ...]
    leaks: int
    first_leaks: tuple[tuple[str, str, float], ...]
    shared: float
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that was found, in a sentence. ``error``: it must be mended before training; ``warning``: look at it.
    ``kind`` is a word that stays the same; ``rows`` counts those it applies to (0 where it is not about rows);
    ``details`` are the first places, each perhaps with more; ``notes`` say more of it all.
    """

    level: Level
    kind: str
    message: str
    rows: int = 0
    details: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReport:
    """All of it. ``rows`` counts the sound ones, ``splits`` those of train, validation and test as ``graftlm train``
    would split them. ``samples`` is None without a model, ``near`` where it was not asked for, ``classes`` where the
    answers are none. ``unused`` are fields of the records, or columns, that are not read. ``verdict`` is "errors" where
    one finding is an error, else "ok".
    """

    data: str
    format: str
    files: int
    rows: int
    splits: dict[str, int]
    verdict: Literal["ok", "errors"]
    findings: tuple[Finding, ...]
    faults: Faults
    contents: Contents
    duplicates: Duplicates | None
    near: Near | None
    leaks: Leaks | None
    bad_text: tuple[BadText, ...]
    classes: Classes | None
    samples: Samples | None
    unused: tuple[UnusedField, ...]
    oddities: Oddities

    def count(self, level: Level) -> int:
        """Findings of a level."""
        return sum(finding.level == level for finding in self.findings)
