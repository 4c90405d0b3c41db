"""What the backend refuses, and what it lets through."""

from __future__ import annotations

from typing import Any

import pytest

from graftlm.api import Device, FamilyFacts, Probe, Situation
from graftlm_llamafactory.situations import notes, supports

PLAIN: dict[str, Any] = {
    "use_rslora": False, "use_dora": False, "init_lora_weights": "true", "pissa_iterations": 0, "rank_pattern": {},
    "layers_to_transform": (), "modules_to_save": (), "bias": "none", "lora_bias": False,
}  # fmt: skip


def situation(**other: Any) -> Situation:
    given: dict[str, Any] = {
        "facts": FamilyFacts(attention=("q_proj",), mlp=("up_proj",)),
        "config": {"model_type": "mistral"},
        "probe": Probe(python="3.11", versions={}, devices=(Device(type="cpu"),)),
        "device": "cpu",
        "dtype": "fp32",
        "method_options": PLAIN,
        **other,
    }
    return Situation(**given)


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"dtype": "bf16"},
        {"method": "dora", "method_options": {**PLAIN, "use_dora": True}},
        {"method": "rslora", "method_options": {**PLAIN, "use_rslora": True}},
        {"method_options": {**PLAIN, "init_lora_weights": "gaussian"}},
        {"device": "cuda", "dtype": "fp16"},
        {"device": "cuda", "quantization": "nf4", "quantization_options": {"compute_dtype": "auto"}},
    ],
)
def test_it_takes_part(other: dict[str, Any]) -> None:
    assert supports(situation(**other)) == ()


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"method": "full", "method_keeps": "overlay"}, "no full here"),
        ({"method": "pissa", "method_options": {**PLAIN, "init_lora_weights": "pissa"}}, "no pissa here"),
        ({"method_options": {**PLAIN, "init_lora_weights": "olora"}}, "init_lora_weights=olora"),
        ({"method_options": {**PLAIN, "rank_pattern": {"q_proj": 4}}}, "no rank_pattern"),
        ({"method_options": {**PLAIN, "bias": "all"}}, "no bias"),
        ({"attention": "flex_attention"}, "no flex_attention attention here"),
        ({"dtype": "fp16"}, "without scaling gradients"),
        ({"device": "mps"}, "not tried on mps"),
        ({"probe": Probe(python="3.11", versions={}, devices=(Device(type="cpu"), Device(type="mps")))}, "Mac"),
        ({"config": {"model_type": "mistral3", "text_config": {}}}, "several parts"),
        ({"quantization": "nf4"}, "on a GPU alone"),
        ({"device": "cuda", "quantization": "torchao-int8"}, "no torchao-int8"),
        ({"device": "cuda", "quantization": "nf4", "quantization_options": {"compute_dtype": "fp32"}, "dtype": "bf16"},
         "quantization.compute_dtype"),
        ({"device": "cuda", "quantization": "nf4",
          "facts": FamilyFacts(attention=("q",), mlp=("m",), linear_classes=("a:B",))}, "a class of the model's own"),
    ],
)  # fmt: skip
def test_it_says_why_not(other: dict[str, Any], why: str) -> None:
    (reason,) = supports(situation(**other))
    assert why in reason


def test_what_was_not_tried_is_noted() -> None:
    assert notes(situation()) == ()
    assert "not tried" in notes(situation(device="cuda", quantization="nf4"))[0]
