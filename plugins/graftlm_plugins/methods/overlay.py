"""Training the base's own weights: all of them, or a few layers or modules; what changed is kept as an overlay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from graftlm.api import Option, TuningMethod, hookimpl

from . import counting
from .names import unknown_modules
from .peft_methods import unquantized

if TYPE_CHECKING:
    from graftlm.api import FamilyFacts, MethodPlan

LEARNING_RATE = 2e-5
"""A tenth of what suits an adapter: here each step moves the weights themselves."""


def check(method: MethodPlan, facts: FamilyFacts) -> Sequence[str]:
    """Reasons against what is to be trained: nothing, or what this model does not have."""
    options, shape = method.options, facts.shape
    if not options["modules"] and not options["layers"] and not options["embeddings"]:
        return ("layers is 0, and neither modules nor embeddings are named: nothing would be trained",)
    if shape and not options["modules"] and options["layers"] > shape.layers:
        return (f"layers is {options['layers']}, and this model has {shape.layers} layers",)
    return tuple(unknown_modules(options["modules"], facts))


@hookimpl
def graftlm_tuning_methods() -> Iterable[TuningMethod]:
    yield TuningMethod(
        name="full",
        summary="all of the base's weights",
        keeps="overlay",
        target="graftlm_plugins.methods.overlay_tuner:FullTuner",
        settings=(),
        suggestions={"learning_rate": LEARNING_RATE},
        trained=counting.full,
        supports=unquantized("full"),
    )
    yield TuningMethod(
        name="freeze",
        summary="the weights of the last layers, or of named modules; the rest is frozen",
        keeps="overlay",
        target="graftlm_plugins.methods.overlay_tuner:FreezeTuner",
        settings=(),
        suggestions={"learning_rate": LEARNING_RATE},
        trained=counting.freeze,
        check=check,
        supports=unquantized("freeze"),
        options=(
            Option(name="layers", type="int", default=2, minimum=0, help="how many of the last layers to train"),
            Option(
                name="modules",
                type="list",
                default=(),
                help="modules to train instead of the last layers: their paths, or the last parts of them",
            ),
            Option(name="embeddings", type="bool", default=False, help="train the embeddings and the head too"),
        ),
    )
