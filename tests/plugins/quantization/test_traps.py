"""What the libraries do when they are left alone: each cure is needed for as long as these hold."""

import logging
from pathlib import Path
from typing import Any

import pytest
from quantized_bases import DENSE, of
from transformers import AutoModelForCausalLM, BitsAndBytesConfig


@pytest.mark.parametrize("name", ["nf4", "fp4", "int8"])
def test_bitsandbytes_passes_falcon_s_own_linear_layers_by(name: str, tmp_path: Path) -> None:
    suite = of(name, tmp_path)
    model = suite.load(suite.write(suite.original(DENSE["falcon/7b"])), plain=False)
    assert suite.quantizer.quantized(model) == {}
    assert model.is_loaded_in_8bit if name == "int8" else model.is_loaded_in_4bit  # so it says


def test_falcon_s_own_linear_layers_cannot_multiply_by_torchao_s_tensors(tmp_path: Path) -> None:
    suite = of("torchao-int8", tmp_path)
    model = suite.load(suite.write(suite.original(DENSE["falcon/7b"])), plain=False)
    with pytest.raises(NotImplementedError):
        suite.logits(model)


def test_a_list_of_layers_to_leave_alone_gives_the_head_away(tmp_path: Path) -> None:
    folder = of("nf4", tmp_path).write(of("nf4", tmp_path).original(DENSE["mistral"]))

    def head(**settings: Any) -> str:
        config = BitsAndBytesConfig(load_in_4bit=True, **settings)
        return type(AutoModelForCausalLM.from_pretrained(folder, quantization_config=config).lm_head).__name__

    assert head(llm_int8_skip_modules=["o_proj"]) == "Linear4bit"
    assert head() == "Linear"


@pytest.mark.filterwarnings("ignore:bitsandbytes..gemv_4bit")  # torch says that it has no gradient
def test_repacked_for_inference_it_trains_no_more(tmp_path: Path) -> None:
    """On a CPU with AVX-512 BF16, the first evaluation repacks 4-bit weights."""
    from bitsandbytes.functional import has_avx512bf16

    if not has_avx512bf16():
        pytest.skip("this CPU has no AVX-512 BF16")
    suite = of("nf4", tmp_path)
    folder = suite.write(suite.original(DENSE["mistral"]))
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
    alone = suite.with_lora(AutoModelForCausalLM.from_pretrained(folder, quantization_config=config))
    assert all(g.abs().sum() > 0 for n, g in suite.gradients(alone).items() if "lora_B" in n)
    suite.logits(alone)
    after = {n: g for n, g in suite.gradients(alone).items() if "lora_B" in n}
    assert sum(bool(g.abs().sum() > 0) for g in after.values()) < 14
    cured = suite.with_lora(suite.load(folder))
    suite.logits(cured)
    after = {n: g for n, g in suite.gradients(cured).items() if "lora_B" in n}
    assert sum(bool(g.abs().sum() > 0) for g in after.values()) == 14


@pytest.mark.parametrize("name", ["nf4", "fp4"])
def test_no_layer_is_ever_repacked(name: str, tmp_path: Path) -> None:
    suite = of(name, tmp_path)
    model = suite.load(suite.write(suite.original(DENSE["mistral"])))
    layers = [model.get_submodule(path) for path in suite.quantizer.quantized(model)]
    assert len(layers) == 14
    assert not any(layer.support_avx512bf16_for_cpu for layer in layers)


def test_int8_does_not_warn_at_every_layer_of_every_pass(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    suite = of("int8", tmp_path)
    model = suite.load(suite.write(suite.original(DENSE["mistral"])))
    talker = logging.getLogger("bitsandbytes.autograd._functions")
    quiet = talker.level
    with caplog.at_level(logging.WARNING, logger=talker.name):
        suite.logits(model)
        assert sum("cast" in record.message for record in caplog.records) == 14
        caplog.clear()
        talker.setLevel(quiet)
        suite.logits(model)
        assert not caplog.records
