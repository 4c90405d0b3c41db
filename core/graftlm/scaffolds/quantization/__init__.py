"""``acme``: frozen weights as int8, with a scale for each row of a weight matrix, in plain torch.

Products are taken in the run's own precision: a weight is made whole for the moment in which it is multiplied with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from graftlm.api import Option, Quantization, hookimpl

if TYPE_CHECKING:  # nothing heavy at the module's level: every command of graftlm imports this file
    import torch

    from graftlm.api import LoadContext, Situation

LARGEST = 127
BITS = 8 + 32 / 4096
"""Of a weight with its share of the scale (fp32), reckoned for rows of 4,096."""
PLAIN = (None, True, False, "true", "false", "gaussian", "orthogonal", "eva")
"""Ways to begin LoRA that do not read the base's weights."""


@cache
def int8_linear() -> Any:
    """The class of the layers, made when torch is there.

    It is an ``nn.Linear``, by which adapters and counts know it; its weight is int8, and so cannot be trained.
    """
    import torch

    class Product(torch.autograd.Function):
        """Makes the weight whole in the backward pass once more: kept, it would take the memory that int8 saves."""

        @staticmethod
        def forward(ctx: Any, inputs: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(weight, scale)
            return torch.nn.functional.linear(inputs, (weight * scale).to(inputs.dtype))

        @staticmethod
        def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
            (gradient,), (weight, scale) = gradients, ctx.saved_tensors
            return gradient @ (weight * scale).to(gradient.dtype), None, None

    class AcmeLinear(torch.nn.Linear):
        scale: torch.Tensor

        def __init__(self, layer: torch.nn.Linear) -> None:
            torch.nn.Module.__init__(self)
            self.in_features, self.out_features, self.bias = layer.in_features, layer.out_features, layer.bias
            wide = layer.weight.detach().float()
            scale = wide.abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny) / LARGEST
            stored = (wide / scale).round().to(torch.int8)
            self.weight = torch.nn.Parameter(stored, requires_grad=False)
            self.register_buffer("scale", scale)

        def forward(self, input: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = Product.apply(input, self.weight, self.scale)  # type: ignore[no-untyped-call]
            return found if self.bias is None else found + self.bias

    return AcmeLinear


class AcmeQuantizer:
    """What graftlm calls around the load of a base."""

    def load_arguments(self, context: LoadContext) -> dict[str, Any]:
        """What ``from_pretrained`` is to be told: nothing, as the layers are replaced afterwards. A library that
        quantizes while it loads has its configuration here.
        """
        return {}

    def prepare(self, model: Any, context: LoadContext) -> Any:
        """Replaces every linear layer but the head, and freezes the rest in the precision that it was loaded in."""
        import torch

        model.requires_grad_(False)
        head = model.get_output_embeddings()
        layers = {p: m for p, m in model.named_modules() if type(m) is torch.nn.Linear and m is not head}
        for path, layer in layers.items():
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, int8_linear()(layer))
        return model

    def quantized(self, model: Any) -> Mapping[str, int]:
        """What was really done: looked up in the model, never remembered. Where it is not every linear layer, the run
        fails, as it would train something else than its plan says.
        """
        return {p: m.weight.numel() for p, m in model.named_modules() if isinstance(m, int8_linear())}


def supports(situation: Situation) -> Sequence[str]:
    """Reasons against it, by facts of the model and of the run; none where it works. A plan shows them."""
    shape, stored, found = situation.facts.shape, situation.config.get("quantization_config"), []
    if stored:
        by = stored.get("quant_method", "some other way") if isinstance(stored, Mapping) else "some other way"
        found.append(f"the checkpoint is quantized already ({by}): take the model that it was made from")
    if shape is not None and shape.experts and not situation.quantization_options.get("partial"):
        share = f"{100 * shape.experts / shape.parameters:.0f}% of its weights are fused experts"
        found.append(f"{share}, which stay as they are; if that is what you want, add --set quantization.partial=true")
    if situation.device not in ("cpu", "cuda"):
        found.append(f"it was tried on cpu and cuda, not on {situation.device}: choose --quantization none")
    if situation.method_options.get("use_dora") or situation.method_options.get("init_lora_weights") not in PLAIN:
        found.append("the method's options ask for the base's weights, which are stored as int8 here: leave them out")
    return found


@hookimpl
def graftlm_quantizations() -> Iterable[Quantization]:
    yield Quantization(
        name="acme",
        summary="8 bits a weight with a scale a row, in plain torch",
        bits=BITS,
        # Subclasses of nn.Linear that a family declares are loaded as nn.Linear itself, so that none is passed by.
        exact_linear=True,
        target="graftlm_acme:AcmeQuantizer",
        options=(
            Option(name="partial", type="bool", default=False, help="quantize a model whose experts stay as they are"),
        ),
        supports=supports,
        suite="graftlm_acme.conformance:AcmeSuite",
    )
