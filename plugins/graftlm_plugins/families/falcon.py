"""Falcon, in its three layouts of the fused attention projection, and Falcon-H1, half of it a state space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graftlm.api import FamilyFacts, LinearShape, ModelDescription, ModelFamily, ModelShape, hookimpl

from .module_paths import ATTENTION_PATHS, NORMS, decoder, within
from .sizes import ATTENTION, FLASH, FUSED_ATTENTION, FUSED_MLP, LLAMA, MLP, PLAIN, Config, Sizes, rope_of, sizes

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
    """Samples packed into one row see each other here, with no error, so packing is exact with flash attention alone,
    which is told the positions; and alibi models know no RoPE and no flash attention. In transformers' eager attention
    alibi is in the mask and is added once more, so that it computes another model: it is left out.
    """
    alibi = config.flag("alibi")
    return FamilyFacts(
        attention=FUSED_ATTENTION,
        mlp=FUSED_MLP,
        fused=("query_key_value",),
        linear_classes=("transformers.models.falcon.modeling_falcon:FalconLinear",),
        attention_implementations=("sdpa",) if alibi else PLAIN,
        packing=() if alibi else FLASH,
        default_targets=FUSED_ATTENTION + FUSED_MLP,
        modules=_falcon_modules(config),
        shape=_falcon_shape(config),
        **({"rope": (), "no_rope": "it knows positions by alibi, not by RoPE"} if alibi else rope_of(config.given)),
    )


def _norms(config: Config) -> tuple[str, ...]:
    """Of a layer: attention and MLP have one each, or share one."""
    if not config.flag("parallel_attn"):
        return NORMS
    count = config.optional("num_ln_in_parallel_attn") or (2 if config.flag("new_decoder_architecture") else 1)
    return ("ln_attn", "ln_mlp") if count == 2 else ("input_layernorm",)


def _falcon_modules(config: Config) -> tuple[str, ...]:
    attention, mlp = within("self_attention", FUSED_ATTENTION), within("mlp", FUSED_MLP)
    inside = within("transformer.h.*", (*attention, *mlp, *_norms(config)))
    return ("transformer.word_embeddings", *inside, "transformer.ln_f", "lm_head")


def _falcon_shape(config: Config) -> ModelShape:
    """The attention of 7B shares one key head among all queries, that of 40B one among each group; RW shares none.

    transformers reads ``n_embed`` as the hidden size, and neither ``n_head`` nor ``n_layer``.
    """
    hidden, heads = config.optional("n_embed") or config.number("hidden_size"), config.number("num_attention_heads")
    shared = 1 if config.flag("multi_query") else heads
    size = Sizes(
        hidden=hidden,
        layers=config.number("num_hidden_layers"),
        vocabulary=config.number("vocab_size"),
        context=config.number("max_position_embeddings"),
        heads=heads,
        kv_heads=(config.optional("num_kv_heads") or heads) if config.flag("new_decoder_architecture") else shared,
        head_dim=hidden // heads,
        intermediate=config.optional("ffn_hidden_size") or 4 * hidden,
        tied=config.flag("tie_word_embeddings"),
    )
    bias = config.flag("bias")
    return size.shape(size.fused(bias=bias, qkv_bias=bias), other=2 * size.norms(len(_norms(config))))


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
    gated = config.flag("mamba_rms_norm")
    per_layer = convolution + 3 * heads + space * gated
    return FamilyFacts(
        attention=(*ATTENTION, "in_proj"),
        mlp=MLP,
        fused=("in_proj",),
        untargeted=("out_proj",),
        untargeted_reason="PEFT refuses the output of a state space, whose kernels read its weights past any adapter",
        attention_implementations=PLAIN,
        packing=(),
        default_targets=(*ATTENTION, "in_proj", *MLP),
        modules=decoder(
            *ATTENTION_PATHS,
            *("mamba:A_log", "mamba:D", "mamba:dt_bias", "mamba.conv1d", "mamba.in_proj", "mamba.out_proj"),
            *(("mamba.norm",) if gated else ()),
            *within("feed_forward", MLP),
            *("input_layernorm", "pre_ff_layernorm"),
            norm="final_layernorm",
        ),
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
        suite="graftlm_plugins.conformance.families:Falcon",
        summary="Falcon in its three layouts, Falcon-H1",
        model_types=tuple(DEFAULTS),
        facts=facts,
        template=template,
    )
