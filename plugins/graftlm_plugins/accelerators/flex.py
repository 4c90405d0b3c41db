"""FlexAttention over packed samples: one kernel that torch compiles for the mask of a row.

As transformers 5.23 has it: without a mask, a packed row's borders are taken from its positions, and become a mask of
blocks of which those that nobody looks at are never computed. A CPU has no backward pass of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from graftlm.api import Accelerator, Requirement, hookimpl

from .attentions import mixing

if TYPE_CHECKING:
    from graftlm.api import Situation

ATTENTION = "flex_attention"
HEADS = (16, 256)
"""Sizes of a head that its kernels take, from and to."""


def supports(situation: Situation) -> Sequence[str]:
    found = mixing(ATTENTION, situation)
    if situation.device != "cuda":
        found.append(f"computes on a GPU, and the run is on {situation.device}: say --device cuda, or leave it out")
    elif "triton" not in situation.probe.versions:
        found.append("needs triton, which is not installed: pip install triton")
    if dropout := situation.config.get("attention_dropout"):
        found.append(f"has no dropout, and config.json says attention_dropout {dropout}: say --accelerator sdpa")
    head = situation.facts.shape.head_dim if situation.facts.shape else 0
    if head and not HEADS[0] <= head <= HEADS[1]:
        found.append(f"takes heads of {HEADS[0]} to {HEADS[1]}, and those of this model have {head}: leave it out")
    return found


@hookimpl
def graftlm_accelerators() -> Iterable[Accelerator]:
    yield Accelerator(
        name="flex",
        summary="FlexAttention over packed samples, without padding",
        claims=("attention",),
        attention=ATTENTION,
        packs=True,
        patches={"adapter": "graftlm_plugins.accelerators.worker.flex_masks:FlexMasks"},
        supports=supports,
        requires=(Requirement(device="cuda", compute_capability=(8, 0)),),
        rank=50,
        gain="no padding",
    )
