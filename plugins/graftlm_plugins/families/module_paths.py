"""Where decoders keep their weights: paths of modules, the numbers of layers written as ``*``."""

from __future__ import annotations

from collections.abc import Iterable

from .sizes import ATTENTION, MLP, Experts

Names = tuple[str, ...]


def within(parent: str, names: Iterable[str]) -> Names:
    """Names below a path."""
    return tuple(f"{parent}.{name}" for name in names)


ATTENTION_PATHS = within("self_attn", ATTENTION)
MLP_PATHS = within("mlp", MLP)
NORMS = ("input_layernorm", "post_attention_layernorm")
HEAD_NORMS = ("self_attn.q_norm", "self_attn.k_norm")


def decoder(*inside: str, norm: str = "norm") -> Names:
    """A decoder with the outer names of Llama's; ``inside`` are the paths in a layer."""
    return ("model.embed_tokens", *within("model.layers.*", inside), f"model.{norm}", "lm_head")


def experts_paths(experts: Experts, dense: int, shared: Names = ()) -> Names:
    """The MLPs of a mixture of experts, ``dense`` of whose layers have none; ``shared`` are beside the experts."""
    routed = ("mlp.gate", "mlp.experts:gate_up_proj", "mlp.experts:down_proj", *shared) if experts.layers else ()
    return (*routed, *(MLP_PATHS if dense else ()))


LLAMA_PATHS = decoder(*ATTENTION_PATHS, *MLP_PATHS, *NORMS)
