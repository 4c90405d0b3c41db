"""Falcon, in its three layouts of the fused attention projection, and Falcon-H1, half of it a state space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graftlm.api import FamilyFacts, LinearShape, ModelDescription, ModelFamily, ModelShape, hookimpl

from .sizes import ATTENTION, LLAMA, MLP, PLAIN, Config, rope_of, sizes

FALCON_ATTENTION = ("query_key_value", "dense")
FALCON_MLP = ("dense_h_to_4h", "dense_4h_to_h")
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "falcon": {
        "vocab_size": 65024, "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71,
        "num_kv_heads": None, "max_position_embeddings": 2048, "ffn_hidden_size": None,
        "num_ln_in_parallel_attn": None, "multi_query": True, "parallel_attn": True, "tie_word_embeddings": True,
    },
    "falcon_h1": {
        **LLAMA, "vocab_size": 128000, "intermediate_size": 14336, "num_key_value_heads": 8,
        "max_position_embeddings": 8192, "mamba_d_ssm": 1024, "mamba_n_heads": 128, "mamba_n_groups": 1,
        "mamba_d_state": 256, "mamba_d_conv": 4, "mamba_expand": 2, "mamba_conv_bias": True,
    },
}  # fmt: skip


def facts(config: Mapping[str, Any]) -> FamilyFacts:
    kind = config.get("model_type", "falcon")
    read = Config(config, DEFAULTS.get(kind, DEFAULTS["falcon"]))
    return _h1(read) if kind == "falcon_h1" else _falcon(read)


def _falcon(config: Config) -> FamilyFacts:
    """Samples packed into one row see each other here, with no error, so packing is never exact without flash
    attention; and alibi models know no RoPE and no flash attention.
    """
    alibi = config.flag("alibi")
    return FamilyFacts(
        attention=FALCON_ATTENTION,
        mlp=FALCON_MLP,
        fused=("query_key_value",),
        linear_classes=("transformers.models.falcon.modeling_falcon:FalconLinear",),
        attention_implementations=("eager", "sdpa") if alibi else PLAIN,
        packing=(),
        default_targets=FALCON_ATTENTION + FALCON_MLP,
        shape=_falcon_shape(config),
        **({"rope": (), "no_rope": "it knows positions by alibi, not by RoPE"} if alibi else rope_of(config.given)),
    )


def _falcon_shape(config: Config) -> ModelShape:
    """The attention of 7B shares one key head among all queries, that of 40B one among each group; RW shares none.

    transformers reads ``n_embed`` as the hidden size, and neither ``n_head`` nor ``n_layer``.
    """
    hidden = config.optional("n_embed") or config.number("hidden_size")
    layers, heads = config.number("num_hidden_layers"), config.number("num_attention_heads")
    head_dim, width = hidden // heads, config.optional("ffn_hidden_size") or 4 * hidden
    groups, bias = config.flag("new_decoder_architecture"), config.flag("bias")
    kv_heads = (config.optional("num_kv_heads") or heads) if groups else 1 if config.flag("multi_query") else heads
    projected = (heads + 2 * kv_heads) * head_dim if groups else hidden + 2 * kv_heads * head_dim
    layer_norms = config.optional("num_ln_in_parallel_attn") or (2 if groups else 1)
    two_norms = layer_norms == 2 or not config.flag("parallel_attn")
    return ModelShape(
        hidden=hidden,
        layers=layers,
        vocabulary=config.number("vocab_size"),
        context=config.number("max_position_embeddings"),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate=width,
        linear=(
            LinearShape(name="query_key_value", inputs=hidden, outputs=projected, count=layers, bias=bias),
            LinearShape(name="dense", inputs=hidden, outputs=hidden, count=layers, bias=bias),
            LinearShape(name="dense_h_to_4h", inputs=hidden, outputs=width, count=layers, bias=bias),
            LinearShape(name="dense_4h_to_h", inputs=width, outputs=hidden, count=layers, bias=bias),
        ),
        tied=config.flag("tie_word_embeddings"),
        other=2 * hidden * ((2 if two_norms else 1) * layers + 1),
    )


def _h1(config: Config) -> FamilyFacts:
    size, bias = sizes(config), config.flag("attention_bias")
    space = config.optional("mamba_d_ssm") or config.number("mamba_expand") * size.hidden
    heads = config.number("mamba_n_heads")
    convolved = space + 2 * config.number("mamba_n_groups") * config.number("mamba_d_state")
    convolution = convolved * (config.number("mamba_d_conv") + config.flag("mamba_conv_bias"))
    linear = (
        *size.attention(size.layers, bias=bias, out_bias=bias),
        LinearShape(
            name="in_proj",
            inputs=size.hidden,
            outputs=space + convolved + heads,
            count=size.layers,
            bias=config.flag("mamba_proj_bias"),
        ),
        LinearShape(
            name="out_proj",
            inputs=space,
            outputs=size.hidden,
            count=size.layers,
            bias=config.flag("projectors_bias"),
        ),
        *size.mlp(size.layers, size.intermediate, bias=config.flag("mlp_bias")),
    )
    per_layer = convolution + 3 * heads + (space if config.flag("mamba_rms_norm") else 0)
    return FamilyFacts(
        attention=(*ATTENTION, "in_proj"),
        mlp=MLP,
        fused=("in_proj",),
        untargeted=("out_proj",),
        untargeted_reason="PEFT refuses the output of a state space, whose kernels read its weights past any adapter",
        attention_implementations=PLAIN,
        packing=(),
        default_targets=(*ATTENTION, "in_proj", *MLP),
        shape=size.shape(linear, other=size.norms() + size.layers * per_layer),
        **rope_of(config.given),
    )


def template(model: ModelDescription) -> str:
    """By generation."""
    name = model.name.lower()
    if model.model_type == "falcon_h1" or "falcon-h1" in name:
        return "falcon-h1"
    return "falcon3" if "falcon3" in name or "falcon-3" in name else "falcon-instruct"


@hookimpl
def graftlm_model_families() -> Iterable[ModelFamily]:
    yield ModelFamily(
        name="falcon",
        summary="Falcon in its three layouts, Falcon-H1",
        model_types=tuple(DEFAULTS),
        facts=facts,
        template=template,
    )
