"""Qwen3-Next and Qwen3.5: three of four layers mix tokens by a gated delta rule in place of attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graftlm.api import FamilyFacts, LinearShape

from .module_paths import ATTENTION_PATHS, HEAD_NORMS, MLP_PATHS, NORMS, Names, decoder, experts_paths, within
from .qwen_experts import SHARED_PATHS, SINGLE_OUTPUT, dense_layers, experts_of
from .sizes import ATTENTION, LLAMA, MLP, PLAIN, Config, Layers, Sizes, fused_experts, rope_of, sizes

DELTA = {
    "head_dim": 256, "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_value_head_dim": 128,
    "linear_num_key_heads": 16, "linear_num_value_heads": 32, "full_attention_interval": 4,
    "num_attention_heads": 16, "max_position_embeddings": 32768,
}  # fmt: skip
DENSE = {
    **LLAMA, **DELTA, "vocab_size": 248320, "intermediate_size": 12288, "num_key_value_heads": 4,
}  # fmt: skip
HYBRID: Mapping[str, Mapping[str, Any]] = {
    "qwen3_next": {
        **LLAMA, **DELTA, "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 5632,
        "num_hidden_layers": 48, "num_key_value_heads": 2, "decoder_sparse_step": 1, "num_experts": 512,
        "num_experts_per_tok": 10, "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512,
    },
    "qwen3_5_text": DENSE,
    "qwen3_5": DENSE,
}  # fmt: skip
NESTED = "its RoPE settings belong to the text part of its configuration, where they are not scaled yet"


def hybrid_facts(config: Config, kind: str) -> FamilyFacts:
    """``qwen3_5`` is a model that sees, too: transformers loads the text part of it alone."""
    if kind == "qwen3_next":
        return _next(config)
    if kind == "qwen3_5":
        text = config.given.get("text_config")
        config = Config(text if isinstance(text, Mapping) else {}, config.defaults)
    size, linear, other = _mixers(config, ("in_proj_qkv", "in_proj_z", "in_proj_b", "in_proj_a"))
    return FamilyFacts(
        attention=_attention(linear),
        mlp=MLP,
        fused=("in_proj_qkv",),
        attention_implementations=PLAIN,
        packing=(),
        default_targets=_attention(linear) + MLP,
        modules=decoder(*_mixer_paths(linear), *MLP_PATHS, *NORMS),
        shape=size.shape((*linear, *size.mlp(size.layers, size.intermediate)), other),
        **(rope_of(config.given) if kind == "qwen3_5_text" else {"rope": (), "no_rope": NESTED}),
    )


def _next(config: Config) -> FamilyFacts:
    size, mixers, other = _mixers(config, ("in_proj_qkvz", "in_proj_ba"))
    experts = experts_of(config)
    linear = (
        *mixers,
        *size.mlp(dense_layers(config), size.intermediate),
        *size.mlp(experts.layers, experts.shared),
        LinearShape(name="shared_expert_gate", inputs=size.hidden, outputs=1, count=experts.layers),
    )
    return FamilyFacts(
        attention=_attention(mixers),
        mlp=(),
        fused=("in_proj_qkvz", "in_proj_ba"),
        untargeted=(*MLP, "shared_expert_gate") if experts.layers else MLP,
        untargeted_reason=f"{fused_experts(rewritten=True)} ({SINGLE_OUTPUT})",
        attention_implementations=PLAIN,
        packing=(),
        default_targets=_attention(mixers),
        modules=decoder(*_mixer_paths(mixers), *experts_paths(experts, dense_layers(config), SHARED_PATHS), *NORMS),
        shape=size.moe_shape(linear, other, experts),
        notes=("the experts stay as they are: adapters reach what mixes tokens",),
        **rope_of(config.given),
    )


def _attention(layers: Layers) -> tuple[str, ...]:
    return tuple(dict.fromkeys(layer.name for layer in layers))


def _mixer_paths(layers: Layers) -> Names:
    """Of the layers with attention, and of those with the delta rule, as far as there are such layers."""
    names = _attention(layers)
    full = (*ATTENTION_PATHS, *HEAD_NORMS) if "q_proj" in names else ()
    delta = (*(name for name in names if name not in ATTENTION), "conv1d", "norm")
    own = ("linear_attn:A_log", "linear_attn:dt_bias", *within("linear_attn", delta)) if "out_proj" in names else ()
    return (*full, *own)


def _mixers(config: Config, projections: tuple[str, ...]) -> tuple[Sizes, Layers, int]:
    """The sizes, the linear layers that mix tokens, and what is neither linear nor an expert nor a router."""
    size = sizes(config)
    full = _full_layers(config, size.layers)
    delta, bias = size.layers - full, config.flag("attention_bias")
    key_heads, value_heads = config.number("linear_num_key_heads"), config.number("linear_num_value_heads")
    value_dim = config.number("linear_value_head_dim")
    keys, values = key_heads * config.number("linear_key_head_dim"), value_heads * value_dim
    outputs = {
        "in_proj_qkvz": 2 * keys + 2 * values,
        "in_proj_ba": 2 * value_heads,
        "in_proj_qkv": 2 * keys + values,
        "in_proj_z": values,
        "in_proj_b": value_heads,
        "in_proj_a": value_heads,
    }
    linear = (
        *size.attention(full, bias=bias, out_bias=bias, gated=True),
        *(LinearShape(name=n, inputs=size.hidden, outputs=outputs[n], count=delta) for n in projections),
        LinearShape(name="out_proj", inputs=values, outputs=size.hidden, count=delta),
    )
    convolution = (2 * keys + values) * config.number("linear_conv_kernel_dim")
    other = size.norms() + 2 * full * size.head_dim + delta * (convolution + 2 * value_heads + value_dim)
    return size, tuple(layer for layer in linear if layer.count), other


def _full_layers(config: Config, layers: int) -> int:
    """Layers with attention, as they are listed, or every fourth."""
    listed = config.items("layer_types")
    return listed.count("full_attention") if listed else layers // config.number("full_attention_interval")
