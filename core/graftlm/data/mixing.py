"""Mixtures: rows of several data sets by weight, each a capability."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import DataError, UsageError

from .conversations import LONGEST_NAME, Reading, read, strict
from .inputs import Inputs

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """A data set of a mixture. ``capability`` goes to those of its rows that name none themselves."""

    inputs: Inputs
    reading: Reading
    weight: float
    capability: str

    def rows(self) -> Iterator[Conversation]:
        for row in strict(read(self.inputs, self.reading)):
            yield row if row.capability else replace(row, capability=self.capability)


def parse_weight(said: str) -> tuple[str, float]:
    """``DATA=WEIGHT``, or DATA alone, which weighs 1; ``UsageError`` where the weight is no positive number."""
    data, equals, weight = said.rpartition("=")
    if not equals:
        return said, 1.0
    try:
        value = float(weight)
    except ValueError:
        raise UsageError(f"{said!r} is not of the form DATA=WEIGHT, as a.jsonl=2") from None
    if not (data and 0 < value < 1e9):
        raise UsageError(f"{said!r}: a weight must be a positive number")
    return data, value


def capability_of(data: str) -> str:
    """The name of a capability, made of the data's; of a glob, by what all its names begin with, or the folder's."""
    place = Path(data.rpartition(":")[2].partition("@")[0] if data.startswith("hf:") else data)
    names = (re.split(r"[*?\[]", part)[0].partition(".")[0].strip("-_ ") for part in reversed(place.parts))
    name = next((name for name in names if name.strip("/")), "data")
    return re.sub(r"[^\w .-]", "-", name)[:LONGEST_NAME].strip("-_ ") or "data"


def quotas(counts: Sequence[int], weights: Sequence[float], rows: int | None) -> list[int]:
    """Rows of each part. Without a total, the largest mixture that repeats no row."""
    if rows is None:
        scale = min(count / weight for count, weight in zip(counts, weights, strict=True))
        return [int(weight * scale + 1e-9) for weight in weights]
    exact = [rows * weight / sum(weights) for weight in weights]
    found = [int(share) for share in exact]
    largest_rests = sorted(range(len(exact)), key=lambda i: found[i] - exact[i])
    for i in largest_rests[: rows - sum(found)]:
        found[i] += 1
    return found


def choose(count: int, quota: int, seed: int) -> list[int]:
    """How often each row is taken: all of them as often as they go into the quota, and a random rest."""
    whole, rest = divmod(quota, count)
    times = [whole] * count
    for i in random.Random(seed).sample(range(count), rest):
        times[i] += 1
    return times


def mixed(parts: Sequence[Part], rows: int | None, seed: int) -> Iterator[Conversation]:
    """The mixture, its parts spread evenly. ``DataError`` where a part has no rows or gets none."""
    counts = [sum(1 for _ in part.rows()) for part in parts]
    for part, count in zip(parts, counts, strict=True):
        if not count:
            raise DataError(f"{part.inputs.reference} has no records")
    wanted = quotas(counts, [part.weight for part in parts], rows)
    for part, quota in zip(parts, wanted, strict=True):
        if not quota:
            raise DataError(f"{part.inputs.reference} gets no row in this mixture: raise its weight, or --rows")
    streams = [
        _taken(part.rows(), choose(count, quota, seed + i))
        for i, (part, count, quota) in enumerate(zip(parts, counts, wanted, strict=True))
    ]
    return _spread(streams, wanted)


def _taken(rows: Iterable[Conversation], times: Sequence[int]) -> Iterator[Conversation]:
    return (row for row, often in zip(rows, times, strict=True) for _ in range(often))


def _spread(streams: Sequence[Iterator[T]], wanted: Sequence[int]) -> Iterator[T]:
    """Take next from whichever stream is furthest behind its share."""
    taken = [0] * len(streams)
    for _ in range(sum(wanted)):
        behind = min(range(len(streams)), key=lambda i: (taken[i] + 1) / wanted[i])
        taken[behind] += 1
        yield next(streams[behind])
