"""RoPE scaling: put into a configuration before the load, and seen in the model after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graftlm.contracts.errors import RunError
from graftlm.contracts.load import RopePlan

COMPARED = ("rope_type", "rope_theta", "factor", "partial_rotary_factor", "original_max_position_embeddings")
"""What makes the frequencies; a release of transformers may add keys of its own."""


def scale(config: Any, rope: RopePlan) -> None:
    """Change the configuration in place. The other parameters stay: GLM's RoPE covers a part of each head, and a new
    dictionary would cover the whole of it.
    """
    parameters = {**config.rope_parameters, "rope_type": rope.kind, "factor": rope.factor}
    if rope.kind == "yarn":
        parameters["original_max_position_embeddings"] = rope.original
    config.rope_parameters = parameters
    if getattr(config, "head_dim", 0) is None:  # Mixtral leaves it open, and the kinds but "linear" then fail on it
        config.head_dim = config.hidden_size // config.num_attention_heads
    # "dynamic" reads here what the model was made for; the others take it from what stands above
    config.max_position_embeddings = rope.original if rope.kind == "dynamic" else rope.context


def rope_of(model: Any) -> dict[str, Any]:
    """What the loaded model's rotary embeddings are: comparable between two loads, and JSON."""
    config = model.config
    given = getattr(config, "rope_parameters", None) or {}
    found = {key: given[key] for key in COMPARED if key in given}
    positions = getattr(config, "max_position_embeddings", None)
    plain: dict[str, Any] = _plain({**found, "max_position_embeddings": positions})
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def check(model: Any, rope: RopePlan | None) -> None:
    """``RunError`` where the rotary embeddings are not those that were asked for."""
    if rope is None:
        return
    rotary = rotary_modules(model)
    if not rotary:
        raise RunError(f"the plan says RoPE {rope}, and the loaded model has no rotary embeddings")
    for module in rotary:
        found = (module.rope_type, module.config.rope_parameters.get("factor"))
        if found != (rope.kind, rope.factor):
            raise RunError(f"the plan says RoPE {rope}, and {found[0]} by {found[1]} was loaded")


def rotary_modules(model: Any) -> list[Any]:
    return [m for m in model.modules() if hasattr(m, "inv_freq") and isinstance(getattr(m, "rope_type", None), str)]


def forget_longer_texts(model: Any) -> None:
    """transformers keeps the frequencies of the longest text that a dynamic RoPE has met, so that the logits of a text
    depend on those before it. Here each forward pass starts from the model's own.
    """
    for module in rotary_modules(model):
        if module.rope_type == "dynamic":
            module.register_forward_pre_hook(_reset)


def _reset(module: Any, arguments: Any) -> None:
    module.inv_freq = module.original_inv_freq.to(module.inv_freq.device)
    module.max_seq_len_cached = module.original_max_seq_len
