"""GLM-4: the dense models that transformers has natively."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from graftlm.api import FamilyFacts, ModelDescription, ModelFamily, hookimpl

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


def template(model: ModelDescription) -> str:
    """GLM-4.5 and 4.6 reason. Some of GLM-4's own templates end the generation prompt with a new line."""
    if "moe" in model.model_type or re.search(r"glm-?4\.[5-9]", model.name.lower()):
        return "glm4.5"
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
    yield ModelFamily(name="glm", summary="GLM-4", model_types=("glm", "glm4"), facts=facts, template=template)
