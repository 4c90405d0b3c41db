"""What speaks against quantizing a base, from facts, and the options that quantizations share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from graftlm.api import Option

if TYPE_CHECKING:
    from graftlm.api import Situation

DEVICES = ("cpu", "cuda")
PARTIAL = Option(
    name="partial",
    type="bool",
    default=False,
    help="quantize a model whose fused experts stay in full precision",
)


def stored_quantized(situation: Situation) -> Sequence[str]:
    """Its weights are no longer those of the model, and transformers loads them quantized whatever it is asked."""
    stored = situation.config.get("quantization_config")
    if not stored:
        return ()
    by = stored.get("quant_method", "") if isinstance(stored, Mapping) else ""
    return (
        f"the checkpoint's weights are stored quantized already{f' (by {by})' if by else ''}; "
        "take the model that they were made from",
    )


def reasons_against(library: str) -> Callable[[Situation], Sequence[str]]:
    """The predicate of a quantization by ``library``, which takes linear layers alone."""

    def supports(situation: Situation) -> Sequence[str]:
        return (*stored_quantized(situation), *_experts(situation, library), *_device(situation))

    return supports


def _experts(situation: Situation, library: str) -> Sequence[str]:
    shape = situation.facts.shape
    if shape is None or not shape.experts or situation.quantization_options.get("partial"):
        return ()
    return (
        f"{_percent(shape.experts / shape.parameters)} of its weights are fused experts, which {library} leaves as "
        "they are; where quantizing the rest is what you want, add --set quantization.partial=true",
    )


def _percent(share: float) -> str:
    """Never a rounded 0% or 100%, which would say that there is nothing else."""
    return f"{min(max(round(share * 100), 1), 99)}%"


def _device(situation: Situation) -> Sequence[str]:
    if situation.device in DEVICES:
        return ()
    return (f"it runs on {' and '.join(DEVICES)}, not on {situation.device}; choose --quantization none",)
