"""The accelerators' patches: entered stage by stage, undone together."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from graftlm.contracts.plan import Plan
from graftlm.contracts.services import PatchContext
from graftlm.contracts.specs import Accelerator, Stage
from graftlm_registry.plugins import registry

from .targets import resolve_target


class Patches:
    """Enters the patches of a run into an exit stack."""

    def __init__(self, plan: Plan, device: str, stack: ExitStack) -> None:
        self._plan, self._device, self._stack = plan, device, stack
        self._accelerators = [registry().get(Accelerator, part.name) for part in plan.all_parts("accelerator")]

    def enter(self, stage: Stage, model: Any = None) -> None:
        context = PatchContext(
            plan=self._plan, device=self._device, model=model, options=self._plan.options.get("accelerator", {})
        )
        for accelerator in self._accelerators:
            if stage in accelerator.patches:
                self._stack.enter_context(resolve_target(accelerator.patches[stage])(context))
