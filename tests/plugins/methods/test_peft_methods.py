"""PEFT's other methods: the schema, and each of them trained, saved and read again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tuning import (
    ALL_LINEAR,
    IDS,
    MISTRAL,
    SMALL,
    against,
    logits,
    mistral,
    plan,
    qwen2,
    round_trip,
    specs,
    trained_count,
    tuner,
)

from graftlm.contracts.errors import RunError, UsageError
from graftlm.planning.plugin_options import convert
from graftlm_plugins.methods import make_schema
from graftlm_plugins.methods.counting import COUNTS
from graftlm_plugins.methods.peft_files import CONFIG
from graftlm_plugins.methods.peft_methods import left_out, methods
from graftlm_plugins.methods.peft_tuner import adapted_modules
from graftlm_plugins.methods.schema_words import HELP, LEFT_OUT

NAMES = sorted(methods())
UNMERGED = {"beft": "has no bias"}


def biased(name: str) -> bool:
    return any(option.name == "bias" for option in specs()[name].options)


def test_the_schema_is_that_of_the_installed_peft() -> None:
    assert make_schema.PLACE.read_text(encoding="utf-8") == make_schema.written()


def test_every_word_of_help_is_used() -> None:
    assert {field["name"] for method in methods().values() for field in method["fields"]} == set(HELP)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_is_what_was_trained(name: str, tmp_path: Path) -> None:
    base, tuned, again = round_trip(name, mistral, tmp_path, targets=ALL_LINEAR, **SMALL.get(name, {}))
    assert torch.equal(tuned, again)
    assert float((tuned - base).abs().max()) > 1e-3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    assert "/" not in (tmp_path / CONFIG).read_text(encoding="utf-8")
    later = IDS.clone()  # no token may see what comes after it, or what another row says
    later[0, -1], later[1] = 40, 50
    seen = logits(tuner(name).apply(mistral(), tmp_path), later)
    assert torch.allclose(seen[0, :-1], again[0, :-1], atol=1e-4)
    own = tuner(name)
    if name in UNMERGED:
        with pytest.raises(RunError, match=f"cannot be merged.*{UNMERGED[name]}"):
            own.merge(own.apply(mistral(), tmp_path))
    else:
        assert torch.allclose(logits(own.merge(own.apply(mistral(), tmp_path))), again, atol=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_counted_is_what_is_trained(name: str) -> None:
    count = specs()[name].trained
    assert (count is None) == (name not in COUNTS)
    if count is not None:
        method = plan(name, targets=ALL_LINEAR[1:], **SMALL.get(name, {}))
        assert count(MISTRAL, method) == trained_count(tuner(name).attach(mistral(), method, None))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_bf16_under_autocast(name: str, tmp_path: Path) -> None:
    def base() -> Any:
        return mistral(torch.bfloat16)

    _, tuned, again = round_trip(name, base, tmp_path, autocast=torch.bfloat16, **SMALL.get(name, {}))
    assert torch.equal(tuned, again)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if biased(name)])
@pytest.mark.parametrize("bias", ["all", "only"])
def test_trained_biases_are_kept(name: str, bias: str, tmp_path: Path) -> None:
    asked = {**SMALL.get(name, {}), "bias": bias if bias == "all" else f"{name}_only"}
    small = {"c3a": {"block_size": 16}, "vblora": {"vector_length": 16, "num_vectors": 16}}.get(name, {})
    _, tuned, again = round_trip(name, qwen2, tmp_path, **{**asked, **small})
    assert torch.equal(tuned, again)


@pytest.mark.slow
@pytest.mark.parametrize("quantization", ["nf4", "int8", "torchao-int8"])
@pytest.mark.parametrize("name", [name for name in NAMES if methods()[name]["quantized"]])
def test_on_a_quantized_base(name: str, quantization: str, tmp_path: Path) -> None:
    def base() -> Any:
        if quantization == "torchao-int8":
            from torchao.quantization import Int8WeightOnlyConfig
            from transformers import TorchAoConfig

            return mistral(quantization_config=TorchAoConfig(Int8WeightOnlyConfig()), device_map="cpu")
        from transformers import BitsAndBytesConfig

        four = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": torch.float32}
        config = BitsAndBytesConfig(**(four if quantization == "nf4" else {"load_in_8bit": True}))
        return mistral(quantization_config=config, device_map="cpu")

    _, tuned, again = round_trip(name, base, tmp_path, **SMALL.get(name, {}))
    assert torch.equal(tuned, again)


def test_going_on(tmp_path: Path) -> None:
    """The parent's weights, trainable; another shape is refused."""
    _, tuned, _ = round_trip("loha", mistral, tmp_path)
    own = tuner("loha")
    model = own.attach(mistral(), plan("loha", parent="a@1"), tmp_path)
    assert torch.equal(logits(model), tuned)
    assert trained_count(model) > 0
    with pytest.raises(RunError, match="has r 4, and the plan says 8"):
        own.attach(mistral(), plan("loha", rank=8, parent="a@1"), tmp_path)


def test_settings_are_those_that_a_method_has() -> None:
    assert specs()["loha"].settings == ("rank", "alpha", "target_modules")
    assert specs()["ia3"].settings == ("target_modules",)
    assert specs()["ln_tuning"].settings == ()
    assert specs()["ln_tuning"].aliases == ("ln-tuning",)
    assert dict(specs()["vera"].suggestions) == {"rank": 256}


def test_options_are_checked_before_peft_is_there() -> None:
    options = {o.name: o for o in specs()["miss"].options}
    assert convert("method.init_weights", "mini", options["init_weights"]) == "mini"
    with pytest.raises(UsageError, match="unknown value 'minni'"):
        convert("method.init_weights", "minni", options["init_weights"])
    for name in ("task_type", "inference_mode", "peft_type", "base_model_name_or_path", "revision", "auto_mapping"):
        assert not [spec.name for spec in specs().values() for option in spec.options if option.name == name]


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("trainable_tokens", {}, "token_indices names no token"),
        ("oft", {"r": 8}, "give oft_block_size, or r with oft_block_size=0"),
        ("loha", {"layers_pattern": "layers"}, "layers_to_transform names none"),
        ("loha", {"layers_to_transform": (-1,)}, "counted from 0"),
        ("loha", {"rank_pattern": {"q_proj": 0}}, "the rank of q_proj is 0"),
    ],
)
def test_what_does_not_go_together(name: str, given: dict[str, Any], says: str) -> None:
    assert says in against(name, **given)


def test_what_is_left_out_is_known_with_its_reason() -> None:
    assert left_out().keys() == (set(LEFT_OUT) - {"lora"}) | {"qlora"}
    for name, why in left_out().items():
        spec = specs()[name]
        assert spec.summary == f"left out: {why}"
        assert against(name) == f"cannot be chosen: {why}"
    assert "say --method lora --quantization nf4" in left_out()["qlora"]
    assert specs()["prefix_tuning"].aliases == ("prefix-tuning",)


def test_ia3_scales_inputs_where_asked(tmp_path: Path) -> None:
    method = plan("ia3", targets=ALL_LINEAR, feedforward_modules=("down_proj",))
    model = tuner("ia3").attach(mistral(), method, None)
    assert trained_count(model) == 4 * (128 + 64 + 64 + 128 + 320 + 320 + 320)
    count = specs()["ia3"].trained
    assert count is not None
    assert count(MISTRAL, method) == trained_count(model)
    with pytest.raises(RunError, match="method ia3: PEFT refuses its options"):
        tuner("ia3").attach(mistral(), plan("ia3", feedforward_modules=("down_proj",)), None)


def test_the_options_of_other_methods_know_their_layers() -> None:
    own = tuner("loha")
    model = own.attach(mistral(), plan("loha", layers_to_transform=(0, 3)), None)
    assert own.adapted(model) == {"q_proj": 2, "k_proj": 2, "v_proj": 2, "o_proj": 2}
    norms = tuner("ln_tuning").attach(mistral(), plan("ln_tuning"), None)
    assert len(list(adapted_modules(norms))) == 9
    assert own.adapted(norms) == {}  # no linear layers


def test_registering_imports_nothing_heavy() -> None:
    program = (
        "import sys, graftlm_plugins.methods.peft_methods as m, graftlm_plugins.methods.lora, "
        "graftlm_plugins.methods.overlay; list(m.graftlm_tuning_methods()); "
        "print([n for n in ('torch', 'peft', 'transformers', 'numpy', 'typing_extensions') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
