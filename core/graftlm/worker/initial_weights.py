"""The weights that a run begins with: those of an adapter that a backend made, and of a base that has none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graftlm.contracts.errors import RunError
from graftlm.contracts.plan import Plan

from .events import Events


def place_initial(model: Any, initial: Path, plan: Plan) -> None:
    """The run's initial weights into a model that a backend loaded."""
    from safetensors.torch import load_file

    from .effective import place

    if initial.is_file():
        place(model, load_file(initial))
    elif plan.method.keeps == "adapter":
        raise RunError(
            f"backend {plan.part('backend').name} loads its model itself, and this run has no initial weights for it: "
            "only a backend with an environment of its own gets them; the others call 'context.load'"
        )


def draw_weights(plan: Plan, folder: Path, events: Events) -> None:
    """The weights of a ``shape:`` model, where they are not drawn yet."""
    if plan.model.weights == "random":
        from .random_weights import random_weights

        events.progress("draw random weights", 0, 1)
        random_weights(folder)
