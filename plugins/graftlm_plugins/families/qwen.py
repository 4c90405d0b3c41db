"""Qwen: the dense models from the second generation on, and their mixtures of experts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from graftlm.api import FamilyFacts, LinearShape, ModelDescription, ModelFamily, hookimpl

from .module_paths import ATTENTION_PATHS, HEAD_NORMS, LLAMA_PATHS, MLP_PATHS, NORMS, decoder, experts_paths
from .qwen_experts import SHARED_PATHS, SINGLE_OUTPUT, dense_layers, experts_of
from .qwen_hybrid import HYBRID, hybrid_facts
from .sizes import ATTENTION, EVERY, LLAMA, MLP, Config, fused_experts, rope_of, sizes

DENSE = {
    **LLAMA, "vocab_size": 151936, "intermediate_size": 22016, "num_key_value_heads": 32,
    "max_position_embeddings": 32768,
}  # fmt: skip
MOE = {**DENSE, "hidden_size": 2048, "num_hidden_layers": 24, "decoder_sparse_step": 1}
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "qwen2": DENSE,
    "qwen3": {**DENSE, "head_dim": 128},
    "qwen2_moe": {
        **MOE, "intermediate_size": 5632, "num_attention_heads": 16, "num_key_value_heads": 16, "num_experts": 60,
        "num_experts_per_tok": 4, "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632,
        "qkv_bias": True,
    },
    "qwen3_moe": {
        **MOE, "intermediate_size": 6144, "num_key_value_heads": 4, "num_experts": 128, "num_experts_per_tok": 8,
        "moe_intermediate_size": 768,
    },
    **HYBRID,
}  # fmt: skip


def facts(config: Mapping[str, Any]) -> FamilyFacts:
    kind = config.get("model_type", "qwen2")
    read = Config(config, DEFAULTS.get(kind, DENSE))
    if kind in HYBRID:
        return hybrid_facts(read, kind)
    return {"qwen2_moe": _qwen2_moe, "qwen3_moe": _qwen3_moe}.get(kind, _dense)(read)


def _dense(config: Config) -> FamilyFacts:
    size, third = sizes(config), config.given.get("model_type") == "qwen3"
    bias = config.flag("attention_bias")
    attention = size.attention(size.layers, bias=bias if third else True, out_bias=bias and third)
    head_norms = 2 * size.layers * size.head_dim if third else 0
    return FamilyFacts(
        attention=ATTENTION,
        mlp=MLP,
        attention_implementations=EVERY,
        packing=EVERY,
        default_targets=ATTENTION + MLP,
        modules=decoder(*ATTENTION_PATHS, *HEAD_NORMS, *MLP_PATHS, *NORMS) if third else LLAMA_PATHS,
        shape=size.shape((*attention, *size.mlp(size.layers, size.intermediate)), other=size.norms() + head_norms),
        **rope_of(config.given),
    )


def _qwen2_moe(config: Config) -> FamilyFacts:
    """PEFT leaves this mixture alone: gate_proj, up_proj and down_proj are those of the expert that all tokens meet."""
    size, dense = sizes(config), dense_layers(config)
    experts = experts_of(config)
    gate = LinearShape(name="shared_expert_gate", inputs=size.hidden, outputs=1, count=experts.layers)
    linear = (
        *size.attention(size.layers, bias=config.flag("qkv_bias")),
        *size.mlp(dense, size.intermediate),
        *size.mlp(experts.layers, experts.shared),
        gate,
    )
    return FamilyFacts(
        attention=ATTENTION,
        mlp=MLP,
        untargeted=("shared_expert_gate",) if experts.layers else (),
        untargeted_reason=SINGLE_OUTPUT,
        attention_implementations=EVERY,
        packing=EVERY,
        default_targets=ATTENTION,
        modules=decoder(*ATTENTION_PATHS, *experts_paths(experts, dense, SHARED_PATHS), *NORMS),
        shape=size.moe_shape(linear, size.norms(), experts),
        notes=("the routed experts stay as they are: mlp is the expert that every token meets",),
        **rope_of(config.given),
    )


def _qwen3_moe(config: Config) -> FamilyFacts:
    size, dense, bias = sizes(config), dense_layers(config), config.flag("attention_bias")
    experts = experts_of(config)
    linear = (*size.attention(size.layers, bias=bias, out_bias=bias), *size.mlp(dense, size.intermediate))
    return FamilyFacts(
        attention=ATTENTION,
        mlp=(),
        untargeted=MLP if dense else (),
        untargeted_reason=fused_experts(rewritten=True),
        attention_implementations=EVERY,
        packing=EVERY,
        default_targets=ATTENTION,
        modules=decoder(*ATTENTION_PATHS, *HEAD_NORMS, *experts_paths(experts, dense), *NORMS),
        shape=size.moe_shape(linear, size.norms() + 2 * size.layers * size.head_dim, experts),
        notes=("the experts stay as they are: adapters reach the attention layers",),
        **rope_of(config.given),
    )


def template(model: ModelDescription) -> str:
    """By generation; Qwen1.5 and Qwen2 have Qwen2.5's architecture, and are known by their names alone. Of the third,
    those of July 2025 and later that do not think say nothing of it.
    """
    name = model.name.lower()
    if model.model_type.startswith("qwen3"):
        return "qwen3-2507" if re.search(r"2507|next|coder", name) and "thinking" not in name else "qwen3"
    return "qwen" if re.search(r"qwen(1|2(?![._-]?5))", name) else "qwen2.5"


@hookimpl
def graftlm_model_families() -> Iterable[ModelFamily]:
    yield ModelFamily(
        name="qwen",
        suite="graftlm_plugins.conformance.families:Qwen",
        summary="Qwen2, Qwen2.5, Qwen3 and Qwen3.5, dense, mixtures of experts, and Qwen3-Next",
        model_types=tuple(DEFAULTS),
        facts=facts,
        template=template,
    )
