"""NF4 and FP4, four bits a weight by bitsandbytes: what QLoRA trains on.

The least memory of all: a quarter of bf16, paid with the largest error and with time to unpack at every pass. NF4's
sixteen values are spaced as normally distributed weights are, and err less than FP4's, a small floating-point format:
take NF4, unless something that was made with FP4 is to be repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from graftlm.api import Option, Quantization, Requirement, hookimpl

from .reasons import PARTIAL, reasons_against

if TYPE_CHECKING:
    from graftlm.api import LoadContext

BLOCK = 64
"""Weights that share a scale."""
SCALES = 256
"""Scales that share theirs, when they are quantized too."""
BITS = 4 + 8 / BLOCK + 32 / (BLOCK * SCALES)
"""With double quantization: an 8-bit scale a block, and an fp32 one for 256 of those. Without: 4 + 32 / 64 = 4.5."""
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


class FourBit:
    """``quant_type`` is bitsandbytes' name of the sixteen values."""

    quant_type: ClassVar[str]

    def load_arguments(self, context: LoadContext) -> dict[str, Any]:
        """No ``llm_int8_skip_modules``: a list of ours would replace transformers' own, the head and what is tied to
        it. Without a ``device_map``, bitsandbytes takes a GPU where there is one, whatever device was asked for.
        """
        import torch
        from transformers import BitsAndBytesConfig

        options = context.load.options
        asked = options["compute_dtype"]
        config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type=self.quant_type,
            bnb_4bit_use_double_quant=options["double_quant"],
            bnb_4bit_compute_dtype=getattr(torch, DTYPES[context.load.dtype if asked == "auto" else asked]),
        )
        return {"quantization_config": config, "device_map": {"": context.device}}

    def prepare(self, model: Any, context: LoadContext) -> Any:
        """Freezes the base, and keeps bitsandbytes from changing it later.

        Nothing is cast to fp32, as ``prepare_model_for_kbit_training`` casts all that is not quantized: the norms
        compute in fp32 by themselves or under autocast, and their frozen weights lose nothing in the dtype asked for.
        """
        model.requires_grad_(False)
        for _, module in _layers(model):
            # With AVX-512 BF16, the first pass in evaluation mode would repack the weight for inference: its scales
            # rounded to bf16, double quantization undone, and no gradient through it in the training that follows.
            module.support_avx512bf16_for_cpu = False
            if module.bias is not None:  # the first pass would cast it, and the base would no longer be what was loaded
                module.bias.data = module.bias.data.to(module.compute_dtype)
        return model

    def quantized(self, model: Any) -> Mapping[str, int]:
        return {
            path: module.weight.quant_state.shape.numel()
            for path, module in _layers(model)
            if getattr(module.weight, "quant_state", None) is not None
        }


class Nf4(FourBit):
    """The values of a normal distribution."""

    quant_type = "nf4"


class Fp4(FourBit):
    """The values of a small floating-point format."""

    quant_type = "fp4"


def _layers(model: Any) -> Iterator[tuple[str, Any]]:
    from bitsandbytes.nn.modules import Linear4bit

    return ((path, module) for path, module in model.named_modules() if isinstance(module, Linear4bit))


@hookimpl
def graftlm_quantizations() -> Iterable[Quantization]:
    for name, aliases, summary, target in (
        ("nf4", ("int4",), "4 bits a weight, spaced as weights are (QLoRA), by bitsandbytes", "Nf4"),
        ("fp4", (), "4 bits a weight, floating point, by bitsandbytes; nf4 errs less", "Fp4"),
    ):
        yield Quantization(
            name=name,
            aliases=aliases,
            summary=summary,
            bits=BITS,
            exact_linear=True,
            target=f"graftlm_plugins.quantization.four_bit:{target}",
            requires=(Requirement(distribution="bitsandbytes", minimum="0.50", below="0.51", extra="bitsandbytes"),),
            options=(
                Option(
                    name="double_quant",
                    type="bool",
                    default=True,
                    help="quantize the scales too: 4.13 bits a weight instead of 4.5",
                ),
                Option(
                    name="compute_dtype",
                    type="str",
                    default="auto",
                    help="the precision of the products; auto is the run's",
                    choices=("auto", *DTYPES),
                ),
                PARTIAL,
            ),
            supports=reasons_against("bitsandbytes"),
        )
