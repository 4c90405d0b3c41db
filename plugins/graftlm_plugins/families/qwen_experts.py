"""How Qwen's configurations name a mixture of experts."""

from __future__ import annotations

from .module_paths import within
from .sizes import MLP, Config, Experts

SINGLE_OUTPUT = "shared_expert_gate has a single output, for which an adapter is larger than the layer"

SHARED_PATHS = (*within("mlp.shared_expert", MLP), "mlp.shared_expert_gate")


def dense_layers(config: Config) -> int:
    """Layers without experts."""
    layers, step = config.number("num_hidden_layers"), config.number("decoder_sparse_step")
    plain = set(config.items("mlp_only_layers"))
    if not config.number("num_experts", "num_local_experts", least=0):
        return layers
    return sum(i in plain or (i + 1) % step != 0 for i in range(layers))


def experts_of(config: Config) -> Experts:
    """``shared`` is 0 where its model type knows no expert that every token meets."""
    shared = config.defaults.get("shared_expert_intermediate_size")
    return Experts(
        layers=config.number("num_hidden_layers") - dense_layers(config),
        count=config.number("num_experts", "num_local_experts", least=0),
        per_token=config.number("num_experts_per_tok"),
        width=config.number("moe_intermediate_size"),
        shared=config.number("shared_expert_intermediate_size") if shared else 0,
    )
