"""Int8 weights alone, by torchao: eight bits a weight, products in the run's own precision.

Half of bf16's memory at the least error of all, with plain PyTorch products: activations are never rounded, a row's
logits do not depend on its batch, and training computes what evaluation does. The safe choice on a CPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from graftlm.api import Quantization, Requirement, hookimpl

from .reasons import PARTIAL, reasons_against

if TYPE_CHECKING:
    from graftlm.api import LoadContext

BITS = 8 + (32 + 8) / 4096
"""An fp32 scale and an int8 zero point for each row of a weight matrix, reckoned for rows of 4,096."""


class TorchaoInt8:
    """torchao's int8 weight-only tensors, which PEFT's LoRA takes (its int4 ones it does not)."""

    def load_arguments(self, context: LoadContext) -> dict[str, Any]:
        """The head stays as it is by transformers' own list. The compiler's settings stay alone: nothing is compiled
        here. ``device_map``: each weight is quantized where it will be, and the whole is never there unquantized.
        """
        from torchao.quantization import Int8WeightOnlyConfig
        from transformers import TorchAoConfig

        config = TorchAoConfig(Int8WeightOnlyConfig(set_inductor_config=False))
        return {"quantization_config": config, "device_map": {"": context.device}}

    def prepare(self, model: Any, context: LoadContext) -> Any:
        """Freezes the base, and casts nothing (see ``four_bit``)."""
        model.requires_grad_(False)
        return model

    def quantized(self, model: Any) -> Mapping[str, int]:
        from torchao.utils import TorchAOBaseTensor

        return {
            path: module.weight.numel()
            for path, module in model.named_modules()
            if isinstance(getattr(module, "weight", None), TorchAOBaseTensor)
        }


@hookimpl
def graftlm_quantizations() -> Iterable[Quantization]:
    yield Quantization(
        name="torchao-int8",
        summary="8 bits a weight, products in the run's own precision, by torchao",
        bits=BITS,
        exact_linear=True,  # Falcon's own linear layer multiplies by weight.T, which these tensors do not have
        target="graftlm_plugins.quantization.torchao_int8:TorchaoInt8",
        requires=(Requirement(distribution="torchao", minimum="0.18", below="0.19", extra="torchao"),),
        options=(PARTIAL,),
        supports=reasons_against("torchao"),
    )
