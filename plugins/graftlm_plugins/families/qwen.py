"""Qwen: the dense models of the second and third generation."""

from __future__ import annotations

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
    return "qwen3" if model.model_type == "qwen3" else "qwen2.5"


@hookimpl
def graftlm_model_families() -> Iterable[ModelFamily]:
    yield ModelFamily(
        name="qwen", summary="Qwen2, Qwen2.5, Qwen3", model_types=("qwen2", "qwen3"), facts=facts, template=template
    )
