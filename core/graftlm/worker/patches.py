"""The accelerators of a run: their patches, entered stage by stage and undone together, and the loss they bring."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from graftlm.contracts.errors import RunError
from graftlm.contracts.plan import Plan
from graftlm.contracts.services import LossFunction, PatchContext
from graftlm.contracts.specs import Accelerator
from graftlm.contracts.stages import Stage
from graftlm_registry.plugins import registry

from .targets import resolve_target


class Patches:
    """Enters the patches of a run into an exit stack."""

    def __init__(self, plan: Plan, device: str, stack: ExitStack) -> None:
        self._plan, self._device, self._stack = plan, device, stack
        self._accelerators = [registry().get(Accelerator, part.name) for part in plan.all_parts("accelerator")]
        self._happened: dict[str, dict[str, Any]] = {a.name: {} for a in self._accelerators}

    def enter(self, stage: Stage, model: Any = None) -> None:
        for accelerator in self._accelerators:
            if stage in accelerator.patches:
                context = self._context(accelerator, model)
                self._stack.enter_context(resolve_target(accelerator.patches[stage])(context))

    def loss(self, model: Any) -> LossFunction | None:
        """What an accelerator computes the loss by, if any brings one: claims see to it that it is one at most."""
        for accelerator in self._accelerators:
            if accelerator.loss:
                found: LossFunction = resolve_target(accelerator.loss)(self._context(accelerator, model))
                return found
        return None

    def happened(self) -> Mapping[str, Mapping[str, Any]]:
        """What each accelerator did, by its name; ``RunError`` where one did nothing, of those that should."""
        for accelerator in self._accelerators:
            if (accelerator.patches or accelerator.loss) and not self._happened[accelerator.name]:
                raise RunError(f"accelerator {accelerator.name} did nothing in this model: leave it out")
        return {name: dict(found) for name, found in self._happened.items() if found}

    def _context(self, accelerator: Accelerator, model: Any) -> PatchContext:
        return PatchContext(
            plan=self._plan,
            device=self._device,
            model=model,
            options=self._plan.options.get("accelerator", {}),
            happened=self._happened[accelerator.name],
        )
