"""GLM-4: the dense models that transformers has natively."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graftlm.api import FamilyFacts, ModelFamily, hookimpl

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_up_proj", "down_proj")


def facts(config: Mapping[str, Any]) -> FamilyFacts:
    return FamilyFacts(
        attention=ATTENTION,
        mlp=MLP,
        fused=("gate_up_proj",),
        attention_implementations=("eager", "sdpa", "flash_attention_2", "flex_attention"),
        packing=("eager", "sdpa", "flash_attention_2", "flex_attention"),
        default_targets=ATTENTION + MLP,
        notes=("rotary embeddings cover a part of each head: a new RoPE setting must keep partial_rotary_factor",),
    )


@hookimpl
def graftlm_model_families() -> Iterable[ModelFamily]:
    yield ModelFamily(
        name="glm", summary="GLM-4", model_types=("glm", "glm4"), facts=facts, template=lambda model: "glm4"
    )
