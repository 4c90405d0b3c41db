"""How many of TRL's packed rows make an optimizer step, and a forward pass. Nothing here imports TRL."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graftlm.api import FamilyFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedBatches:
    """``rows`` of an optimizer step, ``at_once`` in a forward pass. ``tokens`` is the mean of a step's real tokens over
    an epoch, ``planned`` the mean of the plan's steps.
    """

    rows: int
    at_once: int
    tokens: float
    planned: float

    @property
    def ratio(self) -> float:
        return self.tokens / self.planned

    @property
    def passes(self) -> int:
        return self.rows // self.at_once


def packed_batches(
    *, rows: int, tokens: int, planned: float, batch_size: int, micro_batch: int, attention: str
) -> PackedBatches:
    """For ``rows`` packed rows of ``tokens`` real tokens together, the batches whose steps are nearest to ``planned``
    tokens. An epoch's last step holds the rows that are left, and no step holds more than an epoch.

    Rows of one forward pass are joined into one: flash attention takes them as they are, any other attention time and
    memory with the square of the length, so that it gets one at a time.
    """

    def mean(size: int) -> float:
        return tokens / ceil(rows / size)

    size = min(range(1, min(rows, batch_size) + 1), key=lambda each: abs(log(mean(each) / planned)))
    flash = "flash" in attention
    at_once = max(n for n in range(1, micro_batch + 1) if size % n == 0) if flash else 1
    return PackedBatches(rows=size, at_once=at_once, tokens=mean(size), planned=planned)


def packing_reasons(facts: FamilyFacts, attention: str) -> tuple[str, ...]:
    """TRL packs whatever the attention is, and says nothing where samples see each other."""
    if attention in facts.packing:
        return ()
    instead = f" (exact with {', '.join(facts.packing)})" if facts.packing else ""
    return (
        f"TRL's packing would let the samples of a row see each other here with {attention} attention{instead}: "
        "leave backend.packing out",
    )
