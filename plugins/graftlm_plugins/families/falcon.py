"""Falcon, in its three layouts of the fused attention projection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graftlm.api import FamilyFacts, ModelDescription, ModelFamily, hookimpl

ATTENTION = ("query_key_value", "dense")
MLP = ("dense_h_to_4h", "dense_4h_to_h")


def facts(config: Mapping[str, Any]) -> FamilyFacts:
    """Samples packed into one row see each other here, with no error, so packing is never exact without flash
    attention; and alibi models know no RoPE and no flash attention.
    """
    alibi = bool(config.get("alibi"))
    return FamilyFacts(
        attention=ATTENTION,
        mlp=MLP,
        fused=("query_key_value",),
        linear_classes=("transformers.models.falcon.modeling_falcon:FalconLinear",),
        attention_implementations=("eager", "sdpa") if alibi else ("eager", "sdpa", "flash_attention_2"),
        packing=(),
        rope=() if alibi else ("default", "linear", "dynamic", "yarn"),
        default_targets=ATTENTION + MLP,
    )


def template(model: ModelDescription) -> str:
    """By generation."""
    name = model.name.lower()
    if model.model_type == "falcon_h1" or "falcon-h1" in name:
        return "falcon-h1"
    return "falcon3" if "falcon3" in name or "falcon-3" in name else "falcon-instruct"


@hookimpl
def graftlm_model_families() -> Iterable[ModelFamily]:
    yield ModelFamily(name="falcon", summary="Falcon", model_types=("falcon",), facts=facts, template=template)
