"""What another library changed in a model is counted, and nothing else is."""

from __future__ import annotations

import functools
import types
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.mistral.modeling_mistral import MistralAttention, MistralMLP

from graftlm.worker.patched import patched
from graftlm_registry.models import catalogue

HERE = __name__


@pytest.fixture
def model() -> Any:
    config = AutoConfig.from_pretrained(catalogue().entry("tiny-mistral").folder)
    bare = AutoModelForCausalLM.from_config(config)
    return get_peft_model(bare, LoraConfig(r=2, target_modules=["q_proj", "down_proj"]))


def layers(model: Any) -> Any:
    return model.base_model.model.model.layers


def faster(self: Any, *given: Any, **named: Any) -> Any:
    raise NotImplementedError


class Norm(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Renamed(torch.nn.Linear):
    """Inherits its forward pass, and may change what that one reads."""


def test_a_plain_model_has_nothing_patched(model: Any) -> None:
    assert patched(model) == {}
    assert patched(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.GELU())) == {}


def test_the_forward_pass_of_a_class_is_counted_for_each_of_its_modules(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MistralAttention, "forward", faster)
    assert patched(model) == {f"MistralAttention.forward by {HERE}": len(layers(model))}


def test_a_forward_pass_on_one_module_is_one(model: Any) -> None:
    mlp = layers(model)[1].mlp
    mlp.forward = types.MethodType(faster, mlp)
    assert patched(model) == {f"MistralMLP.forward by {HERE}": 1}


def test_functions_that_were_put_on_a_module_are_counted(model: Any) -> None:
    for layer in layers(model):
        layer.self_attn.apply_qkv = faster
    assert patched(model) == {f"MistralAttention.apply_qkv by {HERE}": len(layers(model))}


def test_a_class_in_another_s_place_is_seen_with_and_without_a_forward_pass_of_its_own(model: Any) -> None:
    base = model.base_model.model
    base.model.norm = Norm()
    base.lm_head.__class__ = Renamed
    assert patched(model) == {f"Norm.forward by {HERE}": 1, f"Renamed by {HERE}": 1}


def test_what_plain_decorators_cover_is_seen(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrapper that torch or functools made bears another's name, one of ours may bear a plain one's."""
    monkeypatch.setattr(MistralAttention, "forward", torch.no_grad()(faster))
    plain = MistralMLP.forward

    @functools.wraps(plain)
    def around(self: Any, *given: Any) -> Any:
        return plain(self, *given)

    monkeypatch.setattr(MistralMLP, "forward", around)
    assert patched(model) == {
        f"MistralAttention.forward by {HERE}": len(layers(model)),
        f"MistralMLP.forward by {HERE}": len(layers(model)),
    }


def test_ways_to_save_a_whole_model_are_no_computation_and_its_forward_pass_is(model: Any) -> None:
    whole = model.base_model.model
    whole.save_elsewhere = types.MethodType(faster, whole)
    whole.model.for_training = functools.partial(faster, whole)
    assert patched(model) == {}
    whole.forward = functools.partial(faster, whole)
    assert patched(model) == {f"MistralForCausalLM.forward by {HERE}": 1}
