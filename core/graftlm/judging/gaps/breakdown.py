"""Wrong rows by class, capability, length of the prompt, file and kind of error, with intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from graftlm.intervals import wilson

from .answered import AnsweredRow
from .kinds import KINDS

QUARTERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """``wrong`` of ``n`` rows, as a share with its 95% interval."""

    name: str
    n: int
    wrong: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """The same rows in groups, by one of their properties."""

    by: str
    groups: tuple[Group, ...]


def group(name: str, n: int, wrong: int) -> Group:
    low, high = wilson(wrong, n)
    return Group(name=name, n=n, wrong=wrong, share=wrong / n if n else 0.0, low=low, high=high)


def by_kind(rows: Sequence[AnsweredRow]) -> tuple[Group, ...]:
    """The kinds that occur, the most frequent first; shares are of all rows."""
    counts = {kind: sum(row.kind == kind for row in rows) for kind in KINDS}
    ranked = sorted((kind for kind in KINDS if counts[kind]), key=lambda kind: -counts[kind])
    return tuple(group(kind, len(rows), counts[kind]) for kind in ranked)


def breakdowns(rows: Sequence[AnsweredRow]) -> tuple[Breakdown, ...]:
    """By whatever parts the rows at all. Lengths stand in their order, other groups by their share of wrong rows."""
    properties: dict[str, Callable[[AnsweredRow], str]] = {
        "class": lambda row: row.label,
        "capability": lambda row: row.capability or ("other rows" if any(r.capability for r in rows) else ""),
        "file": lambda row: row.source.rpartition(":")[0],
    }
    found = [Breakdown(by=by, groups=_ranked(rows, name)) for by, name in properties.items()]
    found.insert(2, Breakdown(by="prompt tokens", groups=_by_length(rows)))
    return tuple(breakdown for breakdown in found if len(breakdown.groups) > 1)


def _ranked(rows: Sequence[AnsweredRow], name_of: Callable[[AnsweredRow], str]) -> tuple[Group, ...]:
    parts: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        parts[name_of(row)].append(row.wrong)
    found = [group(name, len(wrong), sum(wrong)) for name, wrong in parts.items()]
    return tuple(sorted(found, key=lambda g: (-g.share, -g.n, g.name)))


def _by_length(rows: Sequence[AnsweredRow]) -> tuple[Group, ...]:
    """Four groups of about as many rows; rows of equal length are never parted, so there may be fewer."""
    lengths = sorted(row.prompt_tokens for row in rows)
    ends = sorted({lengths[max(0, len(lengths) * i // QUARTERS - 1)] for i in range(1, QUARTERS + 1)})
    found, below = [], -1
    for end in ends:
        part = [row for row in rows if below < row.prompt_tokens <= end]
        shortest = min(row.prompt_tokens for row in part)
        name = f"{shortest}–{end}" if shortest < end else f"{end}"
        found.append(group(name, len(part), sum(row.wrong for row in part)))
        below = end
    return tuple(found)
