"""No quantization: the base in its own precision, to train whole or where its memory is no matter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from graftlm.api import Quantization, hookimpl

from .reasons import stored_quantized

if TYPE_CHECKING:
    from graftlm.api import LoadContext


class Unquantized:
    """Adds nothing to the load."""

    def load_arguments(self, context: LoadContext) -> dict[str, Any]:
        return {}

    def prepare(self, model: Any, context: LoadContext) -> Any:
        return model

    def quantized(self, model: Any) -> Mapping[str, int]:
        return {}


@hookimpl
def graftlm_quantizations() -> Iterable[Quantization]:
    yield Quantization(
        name="none",
        summary="the base in its own precision",
        bits=0,
        target="graftlm_plugins.quantization.none:Unquantized",
        supports=stored_quantized,
    )
