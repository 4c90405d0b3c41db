"""What speaks against an attention implementation, from an architecture's facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graftlm.api import Situation


def lacking(attention: str, situation: Situation) -> list[str]:
    """Where transformers has no such attention for an architecture; what to say instead, where there is something."""
    known = situation.facts.attention_implementations
    if attention in known:
        return []
    other = next((name for name in ("sdpa", "eager") if name in known and name != attention), "")
    return [f"this architecture has only {', '.join(known)} attention{f': say --accelerator {other}' if other else ''}"]


def mixing(attention: str, situation: Situation) -> list[str]:
    """The same, and where the samples of a packed row would see each other through it."""
    found = lacking(attention, situation)
    if not found and attention not in situation.facts.packing:
        found.append(
            "packed samples would see each other in this architecture, whose code does not keep them apart: "
            "say --accelerator sdpa"
        )
    return found
