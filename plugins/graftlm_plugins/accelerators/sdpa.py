"""PyTorch's scaled dot product attention."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from graftlm.api import Accelerator, hookimpl

from .attentions import lacking


@hookimpl
def graftlm_accelerators() -> Iterable[Accelerator]:
    yield Accelerator(
        name="sdpa",
        summary="PyTorch's scaled dot product attention",
        claims=("attention",),
        attention="sdpa",
        supports=partial(lacking, "sdpa"),
        rank=20,
    )
    yield Accelerator(
        name="eager",
        summary="attention as plain matrix products, for reference",
        claims=("attention",),
        attention="eager",
        rank=10,
    )
