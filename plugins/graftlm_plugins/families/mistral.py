"""Mistral: the dense models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from graftlm.api import FamilyFacts, ModelDescription, ModelFamily, hookimpl

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")


def facts(config: Mapping[str, Any]) -> FamilyFacts:
    return FamilyFacts(
        attention=ATTENTION,
        mlp=MLP,
        attention_implementations=("eager", "sdpa", "flash_attention_2", "flex_attention"),
        packing=("eager", "sdpa", "flash_attention_2", "flex_attention"),
        default_targets=ATTENTION + MLP,
    )


def template(model: ModelDescription) -> str:
    """By vocabulary: 32,000 entries are the first tokenizer's, 131,072 tekken's. From November 2024 on (a name ends in
    year and month, as "Small-24B-Instruct-2501"), system texts have a turn of their own.
    """
    name, size = model.name.lower(), model.config.get("vocab_size")
    vocabulary = size if isinstance(size, int) else 0
    dated = re.findall(r"(?<!\d)(2[3-9](?:0[1-9]|1[0-2]))(?!\d)", name)
    version = "v7" if dated and dated[-1] >= "2411" else "v3"
    if vocabulary > 100_000:
        return f"mistral-{version}-tekken"
    return "mistral-v1" if vocabulary == 32_000 and "v0.3" not in name else f"mistral-{version}"


@hookimpl
def graftlm_model_families() -> Iterable[ModelFamily]:
    yield ModelFamily(name="mistral", summary="Mistral", model_types=("mistral",), facts=facts, template=template)
