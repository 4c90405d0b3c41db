"""Packed rows with attention for each sample by itself: no padding, and no mask of the whole row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from graftlm.api import Accelerator, hookimpl

if TYPE_CHECKING:
    from graftlm.api import Situation


def supports(situation: Situation) -> Sequence[str]:
    facts = situation.facts
    if "sdpa" not in facts.attention_implementations:
        return (f"this architecture has only {', '.join(facts.attention_implementations)} attention",)
    if "sdpa" not in facts.packing:
        return ("packed samples would see each other in this architecture: say --accelerator sdpa",)
    return ()


@hookimpl
def graftlm_accelerators() -> Iterable[Accelerator]:
    yield Accelerator(
        name="varlen",
        summary="packed rows, attention for each sample by itself",
        claims=("attention",),
        attention="sdpa",
        packs=True,
        patches={"adapter": "graftlm_plugins.accelerators.worker.varlen_attention:VarlenAttention"},
        supports=supports,
        rank=80,
        gain="no padding",
    )
