"""Packed rows with attention for each sample by itself: no padding, and no mask of the whole row."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from graftlm.api import Accelerator, hookimpl

from .attentions import mixing


@hookimpl
def graftlm_accelerators() -> Iterable[Accelerator]:
    yield Accelerator(
        name="varlen",
        summary="packed rows, attention for each sample by itself",
        claims=("attention",),
        attention="sdpa",
        packs=True,
        patches={"adapter": "graftlm_plugins.accelerators.worker.varlen_attention:VarlenAttention"},
        supports=partial(mixing, "sdpa"),
        rank=80,
        gain="no padding",
    )
