"""The main methods on the built-in models of the other families."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM
from tuning import logits, round_trip, tuner

from graftlm_registry.models import catalogue

TARGETS = {
    "tiny-qwen": ("q_proj", "v_proj", "down_proj"),
    "tiny-glm": ("q_proj", "gate_up_proj", "down_proj"),
    "tiny-falcon": ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"),
}


@pytest.mark.parametrize("model", TARGETS)
@pytest.mark.parametrize("name", ["lora", "dora", "pissa", "full", "freeze"])
def test_what_is_kept_is_what_was_trained(name: str, model: str, tmp_path: Path) -> None:
    def base() -> Any:
        return AutoModelForCausalLM.from_pretrained(catalogue().entry(model).folder, dtype=torch.float32)

    given = {} if name in ("full", "freeze") else {"targets": TARGETS[model]}
    before, tuned, again = round_trip(name, base, tmp_path, rate=1e-3, **given)
    assert torch.equal(tuned, again)
    assert float((tuned - before).abs().max()) > 1e-4
    own = tuner(name)
    merged = own.merge(own.apply(base(), tmp_path))
    assert torch.allclose(logits(merged), again, atol=1e-3)
