"""Training the base's own weights: all of them, or a few layers or modules; what changed is kept as an overlay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graftlm.api import Option, TuningMethod, hookimpl

from . import counting

if TYPE_CHECKING:
    from graftlm.api import Situation

LEARNING_RATE = 2e-5
"""A tenth of what suits an adapter: here each step moves the weights themselves."""


def unquantized(situation: Situation) -> Sequence[str]:
    if not situation.quantization_bits:
        return ()
    return (
        f"method {situation.method} trains the base's own weights, and quantized ones take no steps: "
        "choose --method lora, or --quantization none",
    )


def check(options: Mapping[str, Any]) -> Sequence[str]:
    if not options["modules"] and not options["layers"] and not options["embeddings"]:
        return ("layers is 0, and neither modules nor embeddings are named: nothing would be trained",)
    return ()


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
        supports=unquantized,
    )
    yield TuningMethod(
        name="freeze",
        summary="the weights of the last layers, or of named modules; the rest is frozen",
        keeps="overlay",
        target="graftlm_plugins.methods.overlay_tuner:FreezeTuner",
        settings=(),
        suggestions={"learning_rate": LEARNING_RATE},
        trained=counting.freeze,
        check=lambda method, facts: check(method.options),
        supports=unquantized,
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
