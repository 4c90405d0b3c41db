"""Mistral: the dense models, and Mixtral's mixture of experts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from graftlm.api import FamilyFacts, ModelDescription, ModelFamily, hookimpl

from .module_paths import ATTENTION_PATHS, LLAMA_PATHS, NORMS, decoder, experts_paths
from .sizes import ATTENTION, EVERY, LLAMA, MLP, Config, Experts, fused_experts, rope_of, sizes

MISTRAL = {**LLAMA, "intermediate_size": 14336, "num_key_value_heads": 8, "max_position_embeddings": 131072}
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "mistral": MISTRAL,
    "ministral": MISTRAL,
    "ministral3": {
        **MISTRAL, "vocab_size": 131072, "num_hidden_layers": 34, "head_dim": 128, "max_position_embeddings": 262144,
    },
    "mixtral": {**MISTRAL, "num_local_experts": 8, "num_experts_per_tok": 2},
}  # fmt: skip


def facts(config: Mapping[str, Any]) -> FamilyFacts:
    kind = config.get("model_type", "mistral")
    read = Config(config, DEFAULTS.get(kind, MISTRAL))
    return _mixtral(read) if kind == "mixtral" else _dense(read, kind)


def _dense(config: Config, kind: str) -> FamilyFacts:
    size = sizes(config)
    rope = rope_of(config.given)
    if kind == "ministral3" and not config.given.get("rope_parameters"):
        rope = {"rope": (), "no_rope": "it is scaled already, by yarn, where its config.json says nothing of RoPE"}
    return FamilyFacts(
        attention=ATTENTION,
        mlp=MLP,
        attention_implementations=EVERY,
        packing=EVERY,
        default_targets=ATTENTION + MLP,
        modules=LLAMA_PATHS,
        shape=size.shape((*size.attention(size.layers), *size.mlp(size.layers, size.intermediate)), other=size.norms()),
        **rope,
    )


def _mixtral(config: Config) -> FamilyFacts:
    size = sizes(config)
    experts = Experts(
        layers=size.layers,
        count=config.number("num_local_experts", "num_experts"),
        per_token=config.number("num_experts_per_tok"),
        width=size.intermediate,
    )
    rope = rope_of(config.given)
    if rope["rope"] and config.optional("head_dim") is None:  # transformers multiplies the missing size
        why = "only linear scaling works where config.json says nothing of head_dim, as here"
        rope = {"rope": ("linear",), "no_rope": why}
    return FamilyFacts(
        attention=ATTENTION,
        mlp=(),
        untargeted_reason=fused_experts(rewritten=False),
        attention_implementations=EVERY,
        packing=EVERY,
        default_targets=ATTENTION,
        modules=decoder(*ATTENTION_PATHS, *experts_paths(experts, dense=0), *NORMS),
        shape=size.moe_shape(size.attention(size.layers), size.norms(), experts),
        notes=("the experts stay as they are: adapters reach the attention layers",),
        **rope,
    )


def template(model: ModelDescription) -> str:
    """By vocabulary: 32,000 entries are the first tokenizer's, 131,072 tekken's. From November 2024 on (a name ends in
    year and month, as "Small-24B-Instruct-2501"), system texts have a turn of their own.
    """
    name, size = model.name.lower(), model.config.get("vocab_size")
    vocabulary = size if isinstance(size, int) else 0
    dated = re.findall(r"(?<!\d)(2[3-9](?:0[1-9]|1[0-2]))(?!\d)", name)
    late = dated[-1] >= "2411" if dated else model.model_type == "ministral3"
    version = "v7" if late else "v3"
    if vocabulary > 100_000 or model.model_type == "ministral3":
        return f"mistral-{version}-tekken"
    return "mistral-v1" if vocabulary == 32_000 and "v0.3" not in name else f"mistral-{version}"


@hookimpl
def graftlm_model_families() -> Iterable[ModelFamily]:
    yield ModelFamily(
        name="mistral",
        suite="graftlm_plugins.conformance.families:Mistral",
        summary="Mistral, Ministral, Mixtral",
        model_types=tuple(DEFAULTS),
        facts=facts,
        template=template,
    )
