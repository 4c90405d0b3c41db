"""``--rope`` and ``--context-length``: how far RoPE is scaled, and whether a model can."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from graftlm.contracts.errors import UsageError
from graftlm.contracts.load import RopeKind, RopePlan
from graftlm.contracts.model import FamilyFacts, ModelDescription
from graftlm_registry.suggestions import unknown

from .settings import Settings

KINDS: tuple[RopeKind, ...] = get_args(RopeKind)
DEFAULT: RopeKind = "linear"


def rope_plan(settings: Settings, facts: FamilyFacts, description: ModelDescription) -> RopePlan | None:
    """None where nothing is to be scaled; ``UsageError`` where the model cannot, or the words do not agree."""
    said, wanted = settings["rope"], settings["context_length"]
    if said is None and wanted is None:
        return None
    kind, factor = _parsed(said) if said is not None else (DEFAULT, None)
    flag = f"--rope {said}" if said is not None else f"--context-length {wanted}"
    original = context(facts, description)
    if original is None:
        raise UsageError(f"{flag}: {description.name} does not say how many positions it was made for")
    if wanted is not None and factor is not None:
        raise UsageError(f"--rope {said} and --context-length {wanted} both say how far: give one of them")
    if wanted is not None and wanted <= original:
        if said is None:
            return None
        raise UsageError(f"--context-length {wanted}: {description.name} has {original} positions without --rope")
    if factor is None:
        if wanted is None:
            raise UsageError(f"--rope {said} needs a factor, as {kind}:2, or --context-length")
        factor = wanted / original
    if kind not in facts.rope:
        why = facts.no_rope or f"it honours only {', '.join(facts.rope) or 'none'}"
        raise UsageError(f"{flag}: {description.name} cannot be scaled so: {why}")
    scaled = scaled_already(description.config)
    if scaled:
        raise UsageError(f"{flag}: the RoPE of {description.name} is scaled already ({scaled}), and only once is sound")
    return RopePlan(kind=kind, factor=factor, original=original, context=wanted or int(original * factor))


def _parsed(said: str) -> tuple[RopeKind, float | None]:
    kind, colon, number = said.partition(":")
    known = next((k for k in KINDS if k == kind), None)
    if known is None:
        raise UsageError(f"--rope {said}: {unknown('kind', kind, KINDS)}")
    if not colon:
        return known, None
    if not re.fullmatch(r"\d{1,4}(\.\d{1,6})?", number) or not 1 < float(number) <= 1024:
        raise UsageError(f"--rope {said}: the factor must be a number above 1, as in {kind}:2")
    return known, float(number)


def context(facts: FamilyFacts, description: ModelDescription) -> int | None:
    """Positions that the model was made for; a dynamic RoPE of its own stretches those that the configuration says."""
    said = description.config.get("max_position_embeddings")
    found = facts.shape.context if facts.shape is not None else said if isinstance(said, int) else None
    own = description.config.get("rope_parameters") or description.config.get("rope_scaling")
    if found is None or scaled_already(description.config) != "dynamic" or not isinstance(own, Mapping):
        return found
    factor = own.get("factor")
    return int(found * factor) if isinstance(factor, int | float) and factor > 1 else found


def scaled_already(config: Mapping[str, Any]) -> str:
    """The kind of scaling that the checkpoint itself has, or nothing."""
    for name in ("rope_parameters", "rope_scaling"):
        found = config.get(name)
        if isinstance(found, Mapping):
            kind = found.get("rope_type", found.get("type"))
            if kind not in (None, "default", "mrope"):
                return str(kind)
    return ""
