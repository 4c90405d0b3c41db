"""What ``liger`` does: Liger's own patch of an architecture, and everything that it changed put back.

The patch changes modules one by one and the architecture's file in transformers (its classes, and the function that
rotates). It takes nothing back itself, so that what it changed is found by looking before and after.
"""

from __future__ import annotations

import sys
from inspect import signature
from typing import TYPE_CHECKING, Any

from graftlm.api import RunError

if TYPE_CHECKING:
    from graftlm.api import PatchContext

MISSING = object()
PARTS = ("rope", "rms_norm", "swiglu")


class LigerKernels:
    """A patch of the stage ``adapter``."""

    def __init__(self, context: PatchContext) -> None:
        from liger_kernel.transformers.monkey_patch import MODEL_TYPE_TO_APPLY_LIGER_FN

        model = context.model
        self._causal = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._happened = context.happened
        kind = self._causal.config.model_type
        if kind not in MODEL_TYPE_TO_APPLY_LIGER_FN:
            raise RunError(f"liger: this release has no kernels for {kind}: leave it out")
        self._apply: Any = MODEL_TYPE_TO_APPLY_LIGER_FN[kind]
        shape = context.plan.model.facts.shape
        self._experts = bool(shape and shape.experts)
        self._changed: list[tuple[dict[str, Any], str, Any]] = []

    def __enter__(self) -> None:
        home = vars(sys.modules[type(self._causal).__module__])
        places = [home, *(vars(module) for module in self._causal.modules())]
        before = [dict(place) for place in places]
        self._apply(model=self._causal, **self._asked())
        for place, was in zip(places, before, strict=True):
            self._changed += [
                (place, name, was.get(name, MISSING)) for name in place if place[name] is not was.get(name)
            ]
        modules = sum(name == "forward" for _, name, _ in self._changed)
        rotary = any(place is home and name == "apply_rotary_pos_emb" for place, name, _ in self._changed)
        if not modules:
            raise RunError("liger: it replaced nothing in this model: leave it out")
        self._happened |= {"modules": modules, "rotary positions": rotary}

    def __exit__(self, *_: object) -> None:
        for place, name, was in self._changed:
            if was is MISSING:
                del place[name]
            else:
                place[name] = was
        self._changed.clear()

    def _asked(self) -> dict[str, bool]:
        """Without its losses; GLM's interleaved rotation it does not know, and experts stay as they are."""
        known = signature(self._apply).parameters
        asked = dict.fromkeys(PARTS, True)
        asked |= {"swiglu": not self._experts, "rope": known["rope"].default is not False}
        return {**asked, "cross_entropy": False, "fused_linear_cross_entropy": False}
