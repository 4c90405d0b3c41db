"""PyTorch's scaled dot product attention."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from graftlm.api import Accelerator, hookimpl

if TYPE_CHECKING:
    from graftlm.api import Situation


def supports(situation: Situation) -> Sequence[str]:
    known = situation.facts.attention_implementations
    return () if "sdpa" in known else (f"this architecture has only {', '.join(known)} attention",)


@hookimpl
def graftlm_accelerators() -> Iterable[Accelerator]:
    yield Accelerator(
        name="sdpa",
        summary="PyTorch's scaled dot product attention",
        claims=("attention",),
        attention="sdpa",
        supports=supports,
        rank=20,
    )
    yield Accelerator(
        name="eager",
        summary="attention as plain matrix products, for reference",
        claims=("attention",),
        attention="eager",
        rank=10,
    )
