"""Rows of another data set among the training rows, so that what they teach is not forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import DataError

from .chosen_rows import Lowest, draw
from .conversations import Reading, read, strict
from .inputs import Inputs
from .splitting import fingerprint

SALT = b"graftlm: replay\0"


def wanted(new: int, ratio: float) -> int:
    """Rows that are the share ``ratio`` of all training rows beside ``new`` ones."""
    return round(new * ratio / (1 - ratio))


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The data set, how it is read, and which share of all training rows it gets."""

    inputs: Inputs
    reading: Reading
    ratio: float

    def beside(self, new: int) -> Iterator[Conversation]:
        """The rows that go beside ``new`` training rows: all of them where there are fewer than wanted. A smaller
        share's rows are among a larger one's. ``DataError`` where there are none.
        """
        most = wanted(new, self.ratio)
        if not most:
            raise DataError(
                f"--replay-ratio {self.ratio:g} is less than one row beside {new:,} training rows: give a larger one"
            )
        lowest = Lowest(most)
        for conversation in self._rows():
            lowest.add(draw(SALT, conversation))
        if not lowest.seen:
            raise DataError(f"{self.inputs.reference} has no records")
        take, taken = lowest.takes(), 0
        for conversation in self._rows():
            if take(draw(SALT, conversation)):
                taken += 1
                yield conversation
        if taken != len(lowest):
            raise DataError(f"{self.inputs.reference} changed while it was read: start again")

    def _rows(self) -> Iterator[Conversation]:
        return strict(read(self.inputs, self.reading))


def refuse_replayed(replayed: Iterable[int], suites: Iterable[tuple[str, Conversation]], reference: str) -> None:
    """``DataError`` where questions with these fingerprints measure what is forgotten: they would be trained on.
    ``suites`` are rows with the name of their suite.
    """
    trained = frozenset(replayed)
    found: dict[str, set[int]] = {}
    if trained:
        for name, conversation in suites:
            if (place := fingerprint(conversation)) in trained:
                found.setdefault(name, set()).add(place)
    if found:
        where = ", ".join(f"'{name}' ({len(places)})" for name, places in sorted(found.items()))
        count = len(set().union(*found.values()))
        what = "1 replayed question of" if count == 1 else f"{count:,} replayed questions of"
        raise DataError(
            f"{what} {reference} also measure what is forgotten, in {where}: remove them from one side, or the "
            "measurement says nothing"
        )
