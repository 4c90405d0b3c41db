"""Llama, and the many models with its architecture: Falcon3 is one of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from graftlm.api import FamilyFacts, ModelDescription, ModelFamily, hookimpl

from .module_paths import LLAMA_PATHS
from .sizes import ATTENTION, EVERY, LLAMA, MLP, Config, rope_of, sizes

LLAMA_3 = 128_256
"""Entries of the vocabulary of Llama 3 and all that followed."""


def facts(config: Mapping[str, Any]) -> FamilyFacts:
    read = Config(config, LLAMA)
    size, bias = sizes(read), read.flag("attention_bias")
    linear = (
        *size.attention(size.layers, bias=bias, out_bias=bias),
        *size.mlp(size.layers, size.intermediate, bias=read.flag("mlp_bias")),
    )
    return FamilyFacts(
        attention=ATTENTION,
        mlp=MLP,
        attention_implementations=EVERY,
        packing=EVERY,
        default_targets=ATTENTION + MLP,
        modules=LLAMA_PATHS,
        shape=size.shape(linear, other=size.norms()),
        **rope_of(config),
    )


def template(model: ModelDescription) -> str:
    """By name, by vocabulary, by whether its tokenizer has ChatML's tokens; Alpaca's needs none."""
    name = model.name.lower()
    if re.search(r"falcon-?3", name):
        return "falcon3"
    if re.search(r"llama-?3", name) or model.config.get("vocab_size") == LLAMA_3:
        return "llama3"
    if "vicuna" in name:
        return "vicuna"
    return "chatml" if _has_chatml(model) else "alpaca"


def _has_chatml(model: ModelDescription) -> bool:
    files = (model.folder / name for name in ("chat_template.jinja", "tokenizer_config.json"))
    return any("<|im_start|>" in f.read_text(encoding="utf-8", errors="replace") for f in files if f.is_file())


@hookimpl
def graftlm_model_families() -> Iterable[ModelFamily]:
    yield ModelFamily(
        name="llama",
        suite="graftlm_plugins.conformance.families:Llama",
        summary="Llama, and what is built like it: Falcon3, Vicuna, …",
        model_types=("llama",),
        facts=facts,
        template=template,
    )
