"""LLM.int8 by bitsandbytes: eight bits a weight, products in int8.

Half of bf16's memory at a small error, and a choice for a GPU where nf4 errs too much; slower than bf16. Activations
beyond a threshold are kept out of the int8 products: which columns those are is found for a batch as a whole, so that
a row's logits depend a little on the rows beside it. Inputs are rounded to fp16 first, whatever the run's precision. On
a CPU that holds for evaluation alone: training multiplies by the dequantized weights.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from graftlm.api import Option, Quantization, Requirement, hookimpl

from .reasons import PARTIAL, reasons_against

if TYPE_CHECKING:
    from graftlm.api import LoadContext

BITS = 8 + 32 / 4096
"""An fp32 scale for each row of a weight matrix, reckoned for rows of 4,096."""


class LlmInt8:
    """bitsandbytes' ``Linear8bitLt``."""

    def load_arguments(self, context: LoadContext) -> dict[str, Any]:
        """No ``llm_int8_skip_modules``: a list of ours would replace transformers' own, the head and what is tied to
        it. Without a ``device_map``, bitsandbytes takes a GPU where there is one, whatever device was asked for.
        """
        from transformers import BitsAndBytesConfig

        config = BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=float(context.load.options["threshold"]))
        return {"quantization_config": config, "device_map": {"": context.device}}

    def prepare(self, model: Any, context: LoadContext) -> Any:
        """Freezes the base, and casts nothing (see ``four_bit``). The weights go where the first pass would put them:
        PEFT reads them before it, for DoRA, and bitsandbytes then takes them for lost.
        """
        from bitsandbytes.nn.modules import Linear8bitLt

        # a warning for each layer of each pass that its inputs are rounded to fp16: the module says so once
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        model.requires_grad_(False)
        for module in model.modules():
            if isinstance(module, Linear8bitLt) and module.weight.CB is not None:
                module.init_8bit_state()
        return model

    def quantized(self, model: Any) -> Mapping[str, int]:
        import torch
        from bitsandbytes.nn.modules import Linear8bitLt

        return {
            path: module.weight.numel()
            for path, module in model.named_modules()
            if isinstance(module, Linear8bitLt) and module.weight.dtype == torch.int8
        }


@hookimpl
def graftlm_quantizations() -> Iterable[Quantization]:
    yield Quantization(
        name="int8",
        summary="8 bits a weight, products in int8 (LLM.int8), by bitsandbytes",
        bits=BITS,
        exact_linear=True,
        target="graftlm_plugins.quantization.int8:LlmInt8",
        requires=(Requirement(distribution="bitsandbytes", minimum="0.50", below="0.51", extra="bitsandbytes"),),
        options=(
            Option(
                name="threshold",
                type="float",
                default=6.0,
                help="activations beyond it are multiplied in fp16; 0 keeps all in int8",
                minimum=0,
            ),
            PARTIAL,
        ),
        supports=reasons_against("bitsandbytes"),
    )
