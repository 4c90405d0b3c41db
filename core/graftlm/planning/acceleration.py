"""``--accelerator auto``: the best sound set, by what every accelerator says of itself."""

from __future__ import annotations

from dataclasses import replace

from graftlm.contracts.situation import Situation
from graftlm.contracts.specs import Accelerator
from graftlm.environments.state import State
from graftlm_registry.plugins import Registry

from .selection import Selection, against, contested


def automatic(chosen: Selection, situation: Situation, environment: State | None, registry: Registry) -> Selection:
    """Transformers' own attention where the backend is to stay as it is. Else the highest rank first, each that nothing
    speaks against and whose claims nobody has yet. What could not be taken, and why, is in ``Selection.left_out``; what
    would save nothing is not missed.
    """
    taken: list[Accelerator] = []
    left: dict[str, str] = {}
    for one in sorted(registry.all(Accelerator), key=lambda spec: -spec.rank):
        plain = one.attention and not (one.patches or one.packs)
        rivals = contested(one, taken)
        if not one.rank or (rivals and not one.gain) or (chosen.backend.plain and not plain):
            continue
        so_far = replace(chosen, accelerators=(*taken, one))
        asked = replace(situation, attention=one.attention or situation.attention)
        problems = against(one, so_far, asked, environment)
        if not problems:
            taken.append(one)
        elif problems[0] in rivals:
            first = next(other for other in taken if contested(one, [other]))
            left[one.name] = f"{first.name} is taken in its place"
        else:
            left[one.name] = problems[0]
    why = {("accelerator", one.name): f"auto: {one.gain}" if one.gain else "auto" for one in taken}
    return replace(chosen, accelerators=tuple(taken), why={**chosen.why, **why}, left_out=left)
