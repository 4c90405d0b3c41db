"""The head only where something is learned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from graftlm.api import Accelerator, hookimpl

if TYPE_CHECKING:
    from graftlm.api import Situation


CHUNK = {"cpu": 64 << 20, "mps": 64 << 20, "cuda": 512 << 20}
"""Bytes of a chunk's logits in fp32, by device."""


def supports(situation: Situation) -> Sequence[str]:
    if situation.facts.remote_code:
        return ("the code of this architecture comes with the checkpoint, and nobody knows what it does to its logits",)
    return ()


@hookimpl
def graftlm_accelerators() -> Iterable[Accelerator]:
    yield Accelerator(
        name="supervised-logits",
        summary="the head only where labels are, its cross-entropy in chunks",
        claims=("loss",),
        loss="graftlm_plugins.accelerators.worker.supervised_loss:SupervisedLoss",
        logits=CHUNK,
        smooths=True,
        supports=supports,
        rank=60,
        gain="fewer logits",
    )
