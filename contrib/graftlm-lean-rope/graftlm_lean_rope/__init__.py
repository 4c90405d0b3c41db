"""``lean-rope``: rotary positions as one function each way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graftlm.api import Accelerator, hookimpl

if TYPE_CHECKING:
    from graftlm.api import Situation

PARTIAL = ("partial_rotary_factor", "rotary_pct")


def supports(situation: Situation) -> Sequence[str]:
    config = situation.config
    if config.get("alibi"):
        return ("is for rotary positions, and this model has ALiBi: leave it out",)
    if said := _partly(config) or _partly(config.get("text_config") or {}):
        return (f"turns heads whole, and this model turns a part of each ({said}): leave it out",)
    return ()


def _partly(config: Mapping[str, Any]) -> str:
    """What says that only a part of each head is turned; of several RoPEs, any."""
    ropes = config.get("rope_parameters") or {}
    for values in (config, ropes, *(rope for rope in ropes.values() if isinstance(rope, Mapping))):
        for name in PARTIAL:
            if (share := values.get(name)) is not None and share < 1:
                return f"{name} {share:g}"
    return ""


@hookimpl
def graftlm_accelerators() -> Iterable[Accelerator]:
    yield Accelerator(
        name="lean-rope",
        summary="rotary positions as one function each way, with three passes in place of five",
        claims=("rotary",),
        patches={"model": "graftlm_lean_rope.rotation:LeanRope"},
        supports=supports,
        gain="fewer passes",
        suite="graftlm_lean_rope.conformance:LeanRopeSuite",
    )
