"""LoRA's forward and backward pass as one function, of all layers that read the same input together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from graftlm.api import Accelerator, hookimpl

if TYPE_CHECKING:
    from graftlm.api import Situation


def supports(situation: Situation) -> Sequence[str]:
    found, options = [], situation.method_options
    if situation.method != "lora":
        found.append(f"is LoRA's, and the method is {situation.method}: leave it out")
    for name in ("use_dora", "alora_invocation_tokens", "arrow_config", "target_parameters"):
        if options.get(name):
            found.append(f"computes plain LoRA, and {name} makes it another: leave it out")
    if options.get("lora_bias") or options.get("bias", "none") != "none":
        found.append("trains no biases, which the method's options ask for: leave it out")
    if options.get("init_lora_weights") in ("pissa", "olora"):
        found.append(f"knows one adapter a layer, and {options['init_lora_weights']} trains beside a frozen one")
    if situation.dropout:
        found.append(f"knows no dropout, and --dropout is {situation.dropout:g}: say --dropout 0, or leave it out")
    if situation.quantization_bits:
        found.append(f"multiplies with the weights themselves, and {situation.quantization} packs them: leave it out")
    return found


@hookimpl
def graftlm_accelerators() -> Iterable[Accelerator]:
    yield Accelerator(
        name="fused-lora",
        summary="LoRA's forward and backward pass as one function",
        claims=("linear",),
        patches={"adapter": "graftlm_plugins.accelerators.worker.fused_linear:FusedLora"},
        supports=supports,
        rank=70,
        gain="fewer products",
    )
