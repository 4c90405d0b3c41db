"""GLM: the dense models, GLM-4.5's mixture of experts, and ChatGLM, whose code comes with its checkpoints."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from graftlm.api import FamilyFacts, LinearShape, ModelDescription, ModelFamily, ModelShape, hookimpl

from .module_paths import ATTENTION_PATHS, HEAD_NORMS, NORMS, decoder, experts_paths, within
from .sizes import (
    ATTENTION,
    EVERY,
    FUSED_ATTENTION,
    FUSED_MLP,
    LLAMA,
    MLP,
    Config,
    Experts,
    Sizes,
    fused_experts,
    rope_of,
    sizes,
)

DENSE = {
    **LLAMA, "vocab_size": 151552, "intermediate_size": 13696, "num_hidden_layers": 40, "num_key_value_heads": 2,
    "head_dim": 128, "max_position_embeddings": 131072, "attention_bias": True,
}  # fmt: skip
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "glm": DENSE,
    "glm4": DENSE,
    "glm4_moe": {
        **LLAMA, "vocab_size": 151552, "intermediate_size": 10944, "num_hidden_layers": 46,
        "num_attention_heads": 96, "num_key_value_heads": 8, "max_position_embeddings": 131072,
        "moe_intermediate_size": 1408, "num_experts_per_tok": 8, "n_shared_experts": 1, "n_routed_experts": 128,
        "first_k_dense_replace": 1,
    },
    "chatglm": {
        "num_layers": 28, "padded_vocab_size": 65024, "hidden_size": 4096, "ffn_hidden_size": 13696,
        "kv_channels": 128, "num_attention_heads": 32, "seq_length": 2048, "multi_query_group_num": 1,
        "rmsnorm": True, "post_layer_norm": True,
    },
}  # fmt: skip


def facts(config: Mapping[str, Any]) -> FamilyFacts:
    kind = config.get("model_type", "glm")
    read = Config(config, DEFAULTS.get(kind, DENSE))
    return {"glm4_moe": _moe, "chatglm": _chatglm}.get(kind, _dense)(read)


def _dense(config: Config) -> FamilyFacts:
    size = sizes(config)
    linear = (
        *size.attention(size.layers, bias=config.flag("attention_bias")),
        LinearShape(name="gate_up_proj", inputs=size.hidden, outputs=2 * size.intermediate, count=size.layers),
        LinearShape(name="down_proj", inputs=size.intermediate, outputs=size.hidden, count=size.layers),
    )
    mlp = ("gate_up_proj", "down_proj")
    more = ("post_self_attn_layernorm", "post_mlp_layernorm") if config.given.get("model_type") == "glm4" else ()
    return FamilyFacts(
        attention=ATTENTION,
        mlp=mlp,
        fused=("gate_up_proj",),
        attention_implementations=EVERY,
        packing=EVERY,
        default_targets=ATTENTION + mlp,
        modules=decoder(*ATTENTION_PATHS, *within("mlp", mlp), *NORMS, *more),
        shape=size.shape(linear, other=size.norms(2 + len(more))),
        notes=("rotary embeddings cover a part of each head: a new RoPE setting must keep partial_rotary_factor",),
        **rope_of(config.given),
    )


def _moe(config: Config) -> FamilyFacts:
    size = sizes(config)
    dense = min(config.number("first_k_dense_replace", least=0), size.layers)
    width = config.number("moe_intermediate_size")
    experts = Experts(
        layers=size.layers - dense,
        count=config.number("n_routed_experts", "num_local_experts"),
        per_token=config.number("num_experts_per_tok"),
        width=width,
        shared=width * config.number("n_shared_experts"),
    )
    linear = (
        *size.attention(size.layers, bias=config.flag("attention_bias")),
        *size.mlp(dense, size.intermediate),
        *size.mlp(experts.layers, experts.shared),
    )
    normed = config.flag("use_qk_norm")
    paths = experts_paths(experts, dense, within("mlp.shared_experts", MLP))
    return FamilyFacts(
        attention=ATTENTION,
        mlp=(),
        untargeted=MLP,
        untargeted_reason=fused_experts(rewritten=True),
        attention_implementations=EVERY,
        packing=EVERY,
        default_targets=ATTENTION,
        modules=decoder(*ATTENTION_PATHS, *(HEAD_NORMS if normed else ()), *paths, *NORMS),
        shape=size.moe_shape(linear, size.norms() + 2 * size.layers * size.head_dim * normed, experts),
        notes=("the experts stay as they are: adapters reach the attention layers",),
        **rope_of(config.given),
    )


def _chatglm(config: Config) -> FamilyFacts:
    """ChatGLM2, ChatGLM3, and GLM-4 before it was part of transformers."""
    return FamilyFacts(
        attention=FUSED_ATTENTION,
        mlp=FUSED_MLP,
        fused=("query_key_value", "dense_h_to_4h"),
        attention_implementations=("eager",),
        packing=(),
        default_targets=FUSED_ATTENTION + FUSED_MLP,
        rope=(),
        no_rope="the code of its checkpoints has RoPE of its own, which reads no setting of transformers",
        remote_code=True,
        shape=_chatglm_shape(config),
    )


def _chatglm_shape(config: Config) -> ModelShape | None:
    """None for the first ChatGLM and for models that see, which are built otherwise."""
    if "padded_vocab_size" not in config.given or "vision_config" in config.given:
        return None
    heads, bias = config.number("num_attention_heads"), config.flag("add_bias_linear")
    size = Sizes(
        hidden=config.number("hidden_size"),
        layers=config.number("num_layers"),
        vocabulary=config.number("padded_vocab_size"),
        context=config.number("seq_length"),
        heads=heads,
        kv_heads=config.number("multi_query_group_num") if config.flag("multi_query_attention") else heads,
        head_dim=config.number("kv_channels"),
        intermediate=config.number("ffn_hidden_size"),
        tied=config.flag("tie_word_embeddings"),
    )
    linear = size.fused(gated=True, bias=bias, qkv_bias=bias or config.flag("add_qkv_bias"))
    norms = size.hidden * (2 * size.layers + config.flag("post_layer_norm"))
    return size.shape(linear, other=norms * (1 if config.flag("rmsnorm") else 2))


CHATGLM_VOCABULARY = 65_024
"""Entries of the vocabulary of ChatGLM2 and ChatGLM3; GLM-4 has more."""


def template(model: ModelDescription) -> str:
    """GLM-4.5 and 4.6 reason. Some of GLM-4's own templates end the generation prompt with a new line."""
    if "moe" in model.model_type or re.search(r"glm-?4\.[5-9]", model.name.lower()):
        return "glm4.5"
    if (
        model.model_type == "chatglm"
        and model.config.get("padded_vocab_size", CHATGLM_VOCABULARY) == CHATGLM_VOCABULARY
    ):
        return "chatglm3"
    return "glm4-newline" if _asks_with_new_line(model.folder) else "glm4"


def _asks_with_new_line(folder: Path) -> bool:
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        path = folder / name
        source = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        if "add_generation_prompt" in source:  # in JSON, a new line is written with one backslash more
            asked = source.rpartition("add_generation_prompt")[2]
            return re.search(r"<\|assistant\|>(\n|\\+n)", asked) is not None
    return False


@hookimpl
def graftlm_model_families() -> Iterable[ModelFamily]:
    yield ModelFamily(
        name="glm",
        suite="graftlm_plugins.conformance.families:Glm",
        summary="GLM-4, GLM-4.5; ChatGLM with the code of its checkpoints",
        model_types=tuple(DEFAULTS),
        facts=facts,
        template=template,
    )
