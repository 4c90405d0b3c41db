"""Qwen: the dense models of the second and third generation."""

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
    """By generation; Qwen1.5 and Qwen2 have Qwen2.5's architecture, and are known by their names alone."""
    name = model.name.lower()
    if model.model_type.startswith("qwen3"):
        return "qwen3-2507" if "2507" in name and "thinking" not in name else "qwen3"
    return "qwen" if re.search(r"qwen(1|2(?![._-]?5))", name) else "qwen2.5"


@hookimpl
def graftlm_model_families() -> Iterable[ModelFamily]:
    yield ModelFamily(
        name="qwen", summary="Qwen2, Qwen2.5, Qwen3", model_types=("qwen2", "qwen3"), facts=facts, template=template
    )
