"""No quantization: the base in its own precision."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from graftlm.api import Quantization, hookimpl

if TYPE_CHECKING:
    from graftlm.api import LoadContext


class Unquantized:
    """Adds nothing to the load."""

    def load_arguments(self, context: LoadContext) -> dict[str, Any]:
        return {}

    def prepare(self, model: Any, context: LoadContext) -> Any:
        return model

    def count(self, model: Any) -> int:
        return sum(hasattr(module.weight, "quant_state") for module in model.modules() if hasattr(module, "weight"))


@hookimpl
def graftlm_quantizations() -> Iterable[Quantization]:
    yield Quantization(
        name="none",
        summary="the base in its own precision",
        bits=0,
        target="graftlm_plugins.quantization.none:Unquantized",
    )
