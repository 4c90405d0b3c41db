"""What the quantizations make of weights, against each other and against plain products."""

from pathlib import Path

import pytest
import torch
from quantized_bases import DENSE, MOE, of

from graftlm.contracts.load import LoadPlan
from graftlm.contracts.services import LoadContext
from graftlm.contracts.specs import Quantization
from graftlm.testing.quantized_weights import linear_weights, relative_error, stored_bytes
from graftlm_registry.plugins import registry

NAMES = ("nf4", "fp4", "int8", "torchao-int8")
LAYER = "model.layers.0.self_attn.q_proj"


def test_each_is_found_by_its_names() -> None:
    known = {name: registry().get(Quantization, name) for name in (*NAMES, "none", "int4")}
    assert known["int4"] is known["nf4"]
    assert {spec.name: spec.requires[0].extra for spec in known.values() if spec.requires} == {
        "nf4": "bitsandbytes", "fp4": "bitsandbytes", "int8": "bitsandbytes", "torchao-int8": "torchao",
    }  # fmt: skip


def test_none_leaves_the_weights_and_refuses_a_checkpoint_that_is_quantized(tmp_path: Path) -> None:
    from graftlm.testing.situations import situation

    suite = of("none", tmp_path)
    model = suite.original(DENSE["mistral"])
    loaded = suite.load(suite.write(model))
    assert suite.quantizer.quantized(loaded) == {}
    assert torch.equal(suite.logits(loaded), suite.logits(model))
    assert not suite.spec.supports(situation(method_keeps="overlay", device="mps"))
    (reason,) = suite.spec.supports(situation(config={"quantization_config": {"quant_method": "awq"}}))
    assert "by awq" in reason


def test_the_error_is_that_of_the_bits(tmp_path: Path) -> None:
    errors = {}
    for name in NAMES:
        model = of(name, tmp_path).original(DENSE["mistral"])
        loaded = of(name, tmp_path).load(of(name, tmp_path).write(model))
        errors[name] = relative_error(loaded, linear_weights(model))
    assert errors["nf4"] < 0.9 * errors["fp4"]
    assert max(errors["int8"], errors["torchao-int8"]) < errors["nf4"] / 8


@pytest.mark.parametrize("name", NAMES)
def test_logits_and_gradients_are_those_of_the_weights_that_it_stands_for(name: str, tmp_path: Path) -> None:
    suite = of(name, tmp_path)
    plain = suite.original(DENSE["qwen2"])
    base = suite.load(suite.write(plain)).train()
    with torch.no_grad():
        for path, weight in linear_weights(plain).items():
            layer, units = base.get_submodule(path), torch.eye(weight.shape[1])
            weight.copy_((layer(units) - layer(torch.zeros_like(units[:1]))).T)
    targets = sorted({path.rpartition(".")[2] for path in linear_weights(plain)})
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)  # as with_lora has it
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=targets, init_lora_weights=False)
    expected = suite.gradients(get_peft_model(plain.requires_grad_(False), config))
    got = suite.gradients(suite.with_lora(base, init_lora_weights=False))
    assert expected.keys() == got.keys()
    for key, gradient in expected.items():
        torch.testing.assert_close(got[key], gradient, atol=2e-5, rtol=2e-3)


@pytest.mark.parametrize(("double", "bits"), [(True, 4.127), (False, 4.5)])
def test_double_quantization_is_nested_and_takes_fewer_bits(double: bool, bits: float, tmp_path: Path) -> None:
    from graftlm.testing.quantizations import WIDE

    suite = of("nf4", tmp_path)
    model = suite.load(suite.write(suite.original(WIDE)), double_quant=double)
    layer = model.model.layers[0].mlp.gate_proj
    assert layer.weight.quant_state.nested is double
    assert stored_bytes(model, "model.layers.0.mlp.gate_proj.weight") * 8 / (4096 * 256) == pytest.approx(
        bits, abs=0.02
    )


@pytest.mark.parametrize(
    ("run", "asked", "expected"),
    [
        ("bf16", "auto", torch.bfloat16),
        ("fp16", "auto", torch.float16),
        ("fp32", "auto", torch.float32),
        ("fp32", "bf16", torch.bfloat16),
        ("bf16", "fp32", torch.float32),
    ],
)
def test_products_are_in_the_precision_that_was_asked(
    run: str, asked: str, expected: torch.dtype, tmp_path: Path
) -> None:
    """A layer of bitsandbytes casts its bias when it first computes: the base must not change by that."""
    from graftlm.worker.digest import base_digest

    suite = of("nf4", tmp_path)
    model = suite.load(suite.write(suite.original(DENSE["qwen2"])), run, compute_dtype=asked)
    layers = [model.get_submodule(path) for path in suite.quantizer.quantized(model)]
    assert {layer.compute_dtype for layer in layers} == {expected}
    assert {layer.bias.dtype for layer in layers if layer.bias is not None} == {expected}
    before = base_digest(model)
    suite.logits(model)
    assert base_digest(model) == before


@pytest.mark.parametrize("name", NAMES)
def test_of_a_mixture_of_experts_the_attention_is_quantized_and_counted(name: str, tmp_path: Path) -> None:
    suite = of(name, tmp_path)
    model = suite.original(MOE)
    found = suite.quantizer.quantized(suite.load(suite.write(model)))
    attention = {p: w.numel() for p, w in linear_weights(model).items() if ".self_attn." in p}
    assert len(attention) == 8
    assert found == attention


@pytest.mark.parametrize("name", NAMES)
def test_it_is_quantized_where_it_will_be(name: str) -> None:
    """bitsandbytes would take a GPU where there is one, whatever device was asked for."""
    spec = registry().get(Quantization, name)
    plan = LoadPlan(name="x", dtype="fp32", attention="sdpa", options={o.name: o.default for o in spec.options})
    for device in ("cpu", "cuda"):
        arguments = of(name, Path()).quantizer.load_arguments(LoadContext(load=plan, folder=Path(), device=device))
        assert arguments["device_map"] == {"": device}
