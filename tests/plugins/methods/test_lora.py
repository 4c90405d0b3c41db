"""LoRA: every start, every option, targets that are counted, and a base that stays as it is."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tuning import (
    ALL_LINEAR,
    MISTRAL,
    against,
    logits,
    mistral,
    plan,
    qwen2,
    qwen3_moe,
    round_trip,
    specs,
    train,
    trained_count,
    tuner,
)

from graftlm.contracts.errors import RunError
from graftlm_plugins.methods.peft_files import CONFIG, TENSORS
from graftlm_plugins.methods.peft_tuner import adapted_modules

LEFT_OUT = {
    "r": "the setting rank",
    "lora_alpha": "the setting alpha",
    "lora_dropout": "the setting dropout",
    "target_modules": "the setting target_modules",
    "fan_in_fan_out": "PEFT knows it from the layer",
    "megatron_config": "no Megatron here",
    "megatron_core": "no Megatron here",
    "runtime_config": "no weights",
    "loftq_config": "replaces the base's weights",
    "eva_config": "reads data before training",
    "corda_config": "reads data before training",
    "lora_ga_config": "reads gradients before training",
    "velora_config": "has gradients that are not LoRA's",
    "alora_invocation_tokens": "works on prompts that hold certain tokens alone",
    "use_qalora": "for GPTQ alone",
    "qalora_group_size": "for GPTQ alone",
    "monteclora_config": "answers by chance, and has a loss of its own",
    "layer_replication": "makes another base",
    "use_bdlora": "for one way of serving",
    "arrow_config": "needs trained adapters",
    "kasa_config": "changes the base's weights",
}


def test_every_field_of_peft_is_an_option_or_left_out_for_a_reason() -> None:
    from peft import LoraConfig, PeftConfig

    fields = {f.name for f in dataclasses.fields(LoraConfig)} - {f.name for f in dataclasses.fields(PeftConfig)}
    options = {option.name for option in specs()["lora"].options} - {"pissa_iterations"}
    assert options.isdisjoint(LEFT_OUT)
    assert options | LEFT_OUT.keys() == fields


CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "dropout": {"dropout": 0.2},
    "alpha that is no whole number": {"alpha": 3.5},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "patterns": {"rank_pattern": "q_proj=2,layers.1.self_attn.v_proj=8", "alpha_pattern": {"q_proj": 3}},
    "layers": {"layers_to_transform": "0,3"},
    "layers by pattern": {"layers_to_transform": [1], "layers_pattern": "layers"},
    "exclude": {"exclude_modules": "layers.0.self_attn.q_proj"},
    "modules to save": {"modules_to_save": "model.norm,lm_head"},
    "some tokens": {"trainable_token_indices": "5,30"},
    "lora bias": {"lora_bias": True},
    **{start: {"init_lora_weights": start} for start in ("gaussian", "orthogonal", "mica", "pissa", "olora", "false")},
    "pissa, fast": {"init_lora_weights": "pissa", "pissa_iterations": 4},
    "pissa, patterns, rslora": {
        "init_lora_weights": "pissa",
        "use_rslora": True,
        "rank_pattern": {"q_proj": 2},
        "alpha_pattern": {"k_proj": 3},
    },
    "olora, dropout, saved": {"init_lora_weights": "olora", "dropout": 0.1, "modules_to_save": "lm_head"},
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_kept_is_what_was_trained(case: str, tmp_path: Path) -> None:
    base, tuned, again = round_trip("lora", mistral, tmp_path, **CASES[case])
    assert torch.equal(tuned, again)
    assert float((tuned - base).abs().max()) > 1e-3
    assert sorted(p.name for p in tmp_path.iterdir()) == [CONFIG, TENSORS]
    assert "/" not in (tmp_path / CONFIG).read_text(encoding="utf-8")
    own = tuner("lora")
    if case == "lora bias":
        with pytest.raises(RunError, match=r"cannot be merged into its base, .* the base layer has no bias"):
            own.merge(own.apply(mistral(), tmp_path))
    else:
        assert torch.allclose(logits(own.merge(own.apply(mistral(), tmp_path))), again, atol=1e-4)


@pytest.mark.parametrize("bias", ["all", "lora_only"])
def test_biases(bias: str, tmp_path: Path) -> None:
    _, tuned, again = round_trip("lora", qwen2, tmp_path, bias=bias, targets=("q_proj", "o_proj"))
    assert torch.equal(tuned, again)
    kept = [name for name in load_file(tmp_path / TENSORS) if name.endswith("bias")]
    assert len(kept) == (6 if bias == "all" else 2)


@pytest.mark.parametrize("name", ["rslora", "dora", "pissa", "olora"])
def test_variants_are_lora_with_other_defaults(name: str, tmp_path: Path) -> None:
    given = {"rslora": {"use_rslora": True}, "dora": {"use_dora": True}}.get(name, {"init_lora_weights": name})
    assert plan(name).options == plan("lora", **given).options
    _, tuned, again = round_trip(name, mistral, tmp_path)
    assert torch.equal(tuned, again)


# The base


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("start", ["pissa", "olora"])
def test_a_start_from_the_weights_leaves_them(start: str, dtype: torch.dtype, tmp_path: Path) -> None:
    """PEFT alone would change them, and the files would fit no other base."""
    model = mistral(dtype)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    whole = logits(model)
    own = tuner("lora")
    tuned = own.attach(model, plan("lora", targets=ALL_LINEAR, init_lora_weights=start), None)
    assert torch.allclose(logits(tuned), whole, atol=1e-3 if dtype == torch.float32 else 0.5)
    names = [name for name, p in tuned.named_parameters() if p.requires_grad]
    assert names
    assert all(".default." in name for name in names)
    train(tuned, autocast=None if dtype == torch.float32 else dtype)
    own.save(tuned, tmp_path)
    left = dict(tuned.base_model.model.named_parameters())
    for name, weight in before.items():
        layer, _, last = name.rpartition(".")
        assert torch.equal(left.get(name, left.get(f"{layer}.base_layer.{last}")), weight), name
    assert torch.equal(logits(own.apply(mistral(dtype), tmp_path)), logits(tuned))
    kept = json.loads((tmp_path / CONFIG).read_text(encoding="utf-8"))
    assert (kept["init_lora_weights"], kept["r"], kept["lora_alpha"]) == (True, 8, 16)


def test_a_pissa_adapter_lives_beside_another(tmp_path: Path) -> None:
    """With PEFT's own loading, on the same base, in either order."""
    from peft import PeftModel

    _, first, _ = round_trip("pissa", mistral, tmp_path / "a")
    _, second, _ = round_trip("lora", mistral, tmp_path / "b")
    both = PeftModel.from_pretrained(mistral(), str(tmp_path / "b"), adapter_name="b")
    both.load_adapter(str(tmp_path / "a"), adapter_name="a")
    assert torch.allclose(logits(both), second, atol=1e-5)
    both.set_adapter("a")
    assert torch.allclose(logits(both), first, atol=1e-5)


def test_pissa_trains_as_peft_does() -> None:
    """The same losses as with PEFT's changed base."""
    from peft import LoraConfig, get_peft_model

    ours = tuner("lora").attach(mistral(), plan("pissa"), None)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=list(ALL_LINEAR[:4]), init_lora_weights="pissa")
    theirs = get_peft_model(mistral(), config)
    assert train(ours, rate=1e-3) == pytest.approx(train(theirs, rate=1e-3), abs=1e-3)


def test_pissa_wants_weights_that_are_numbers(tmp_path: Path) -> None:
    from transformers import BitsAndBytesConfig

    base = mistral(quantization_config=BitsAndBytesConfig(load_in_8bit=True), device_map="cpu")
    with pytest.raises(RunError, match="starts from the weights themselves"):
        tuner("pissa").attach(base, plan("pissa"), None)
    with pytest.raises(RunError, match=r"rank 65 is more than .*k_proj has, 64"):
        tuner("pissa").attach(mistral(), plan("pissa", rank=65), None)


# Targets


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"targets": ("q_proj", "qq_proj")},
            "target module qq_proj matches nothing in this model; did you mean q_proj?",
        ),
        ({"targets": ("norm",)}, "PEFT refuses it: Target module MistralRMSNorm"),
        ({"layers_to_transform": (0, 4)}, "layers_to_transform names layer 4"),
        ({"exclude_modules": "q_prj"}, "exclude_modules: q_prj matches nothing"),
        ({"exclude_modules": "q_proj"}, "every q_proj is left out"),
        ({"modules_to_save": "norm"}, "modules_to_save would take model.layers.0.input_layernorm too"),
        ({"modules_to_save": "head"}, "modules_to_save: head matches nothing"),
        ({"rank_pattern": {"up_proj": 2}}, "rank_pattern: up_proj matches none of the adapted modules"),
        ({"target_parameters": "experts.up"}, "target_parameters: experts.up matches no tensor"),
    ],
)
def test_a_name_that_matches_nothing(given: dict[str, Any], says: str) -> None:
    with pytest.raises(RunError) as error:
        tuner("lora").attach(mistral(), plan("lora", **given), None)
    assert says in str(error.value)


def test_adapted_layers_are_counted() -> None:
    own = tuner("lora")
    model = own.attach(mistral(), plan("lora", targets=("q_proj", "down_proj"), layers_to_transform=(0, 3)), None)
    assert own.adapted(model) == {"q_proj": 2, "down_proj": 2}


def test_experts_by_their_tensors(tmp_path: Path) -> None:
    given = {"target_parameters": ("experts.gate_up_proj", "experts.down_proj")}
    own = tuner("lora")
    model = own.attach(qwen3_moe(), plan("lora", **given), None)
    assert own.adapted(model) == dict.fromkeys(ALL_LINEAR[:4], 2)
    experts = [f"model.layers.{i}.mlp.experts.{side}" for i in (0, 1) for side in ("gate_up_proj", "down_proj")]
    assert sorted(path for path in adapted_modules(model) if "experts" in path) == sorted(experts)
    _, tuned, again = round_trip("lora", qwen3_moe, tmp_path, **given)
    assert torch.equal(tuned, again)
    with pytest.raises(RunError, match="PEFT refuses it"):
        own.attach(qwen3_moe(), plan("lora", dropout=0.1, **given), None)


def test_pefts_rewriting_of_experts_does_not_go_unnoticed() -> None:
    """It would put the experts' tensors in the place of the linear layers of a dense layer."""
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

    sizes: dict[str, Any] = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 64, "moe_intermediate_size": 16}
    heads: dict[str, Any] = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
    config = Qwen3MoeConfig(**sizes, **heads, num_hidden_layers=2, num_experts=4, mlp_only_layers=[0])
    with pytest.raises(RunError, match=r"3 of 3 targets are not adapted, such as model\.layers\.0\.mlp\.down_proj"):
        tuner("lora").attach(Qwen3MoeForCausalLM(config), plan("lora", targets=ALL_LINEAR[4:]), None)


def test_a_saved_head_is_untied_when_it_is_merged(tmp_path: Path) -> None:
    """tiny-mistral's head is its embeddings; the merged model, written and read again, must have both."""
    _, _, again = round_trip("lora", mistral, tmp_path / "a", modules_to_save="lm_head")
    own = tuner("lora")
    merged = own.merge(own.apply(mistral(), tmp_path / "a"))
    merged.save_pretrained(tmp_path / "b")
    read = type(merged).from_pretrained(tmp_path / "b")
    assert torch.allclose(logits(read), again, atol=1e-4)


# Files


@pytest.mark.parametrize("what", ["less", "more", "other shape"])
def test_files_that_do_not_fit(what: str, tmp_path: Path) -> None:
    """PEFT would say nothing of a tensor that lacks, or is one too many."""
    round_trip("lora", mistral, tmp_path)
    tensors = load_file(tmp_path / TENSORS)
    name = next(iter(sorted(tensors)))
    whole = tensors.pop(name)
    if what == "more":
        tensors |= {name: whole, f"{name}.x": whole.clone()}
    elif what == "other shape":
        tensors[name] = whole[:1].clone()
    save_file(tensors, tmp_path / TENSORS)
    says = {"less": "lacks 1 tensors", "more": "has 1 tensors that do not fit", "other shape": "in this base"}
    with pytest.raises(RunError, match=says[what]):
        tuner("lora").apply(mistral(), tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"auto_mapping": {"parent_library": "os"}}, "has auto_mapping"),
        ({"megatron_config": {"a": 1}}, "has megatron_config"),
        ({"surprise": 1}, "has surprise, which this release of PEFT does not know"),
        ({"peft_type": "MAGIC"}, "is not the configuration of an adapter"),
    ],
)
def test_a_configuration_that_is_not_taken(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    round_trip("lora", mistral, tmp_path)
    path = tmp_path / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(RunError, match=says):
        tuner("lora").apply(mistral(), tmp_path)


def test_the_base_is_named_and_no_path_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever lies in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some-base").mkdir()
    own = tuner("lora")
    for base, kept in (("some-base", "some-base"), ("owner/some-base", "owner/some-base"), (str(tmp_path), None)):
        model = own.attach(mistral(), plan("lora"), None)
        model.peft_config["default"].base_model_name_or_path = base
        own.save(model, tmp_path / "kept")
        config = json.loads((tmp_path / "kept" / CONFIG).read_text(encoding="utf-8"))
        assert config["base_model_name_or_path"] == kept


def test_modules_to_save_train_in_fp32_and_are_kept_in_the_bases_dtype(tmp_path: Path) -> None:
    own = tuner("lora")
    model = own.attach(mistral(torch.bfloat16), plan("lora", modules_to_save="lm_head"), None)
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    train(model, autocast=torch.bfloat16)
    own.save(model, tmp_path)
    kept = {name: tensor.dtype for name, tensor in load_file(tmp_path / TENSORS).items() if "lora" not in name}
    assert set(kept.values()) == {torch.bfloat16}
    assert torch.equal(logits(model), logits(own.apply(mistral(torch.bfloat16), tmp_path)))


# Going on


@pytest.mark.parametrize("name", ["lora", "dora", "pissa", "olora"])
def test_going_on(name: str, tmp_path: Path) -> None:
    """From what was kept: of pissa and olora, a LoRA of twice the rank."""
    _, tuned, _ = round_trip(name, mistral, tmp_path / "a")
    own, method = tuner(name), plan(name, parent="a@1")
    model = own.attach(mistral(), method, tmp_path / "a")
    assert torch.equal(logits(model), tuned)
    count = specs()[name].trained
    assert count is not None
    assert trained_count(model) == count(MISTRAL, method)
    before = [p.detach().clone() for p in model.parameters() if p.requires_grad]
    train(model, rate=1e-3)
    assert any(
        not torch.equal(a, b) for a, b in zip(before, (p for p in model.parameters() if p.requires_grad), strict=True)
    )
    own.save(model, tmp_path / "b")
    assert torch.equal(logits(model), logits(own.apply(mistral(), tmp_path / "b")))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"rank": 8}, "has r 4, and the plan says 8"),
        ({"use_dora": True}, "has use_dora False, and the plan says True"),
        ({"targets": ("q_proj",)}, "has target_modules"),
    ],
)
def test_going_on_with_something_else(given: dict[str, Any], says: str, tmp_path: Path) -> None:
    round_trip("lora", mistral, tmp_path)
    with pytest.raises(RunError, match=says):
        tuner("lora").attach(mistral(), plan("lora", parent="a@1", **given), tmp_path)


# The plan


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"targets": ALL_LINEAR, "use_dora": True},
        {"rank_pattern": {"q_proj": 2, r"layers\.1\.self_attn\.v_proj": 8}},
        {"rank_pattern": {".*self_attn.(q|v)_proj": 2, ".*_proj": 3}},
        {"rank_pattern": {r".*\.2\..*": 6, "self_attn.k_proj": 1}},
        {"layers_to_transform": (0, 3), "lora_bias": True},
        {"exclude_modules": "layers.2.self_attn.k_proj"},
        {"modules_to_save": "lm_head,gate_proj"},
        {"trainable_token_indices": (5, 6)},
        {"init_lora_weights": "mica"},
        {"init_lora_weights": "pissa"},
    ],
    ids=str,
)
def test_what_is_counted_is_what_is_trained(given: dict[str, Any]) -> None:
    count, method = specs()["lora"].trained, plan("lora", **given)
    assert count is not None
    assert count(MISTRAL, method) == trained_count(tuner("lora").attach(mistral(), method, None))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"init_lora_weights": "pissa", "use_dora": True}, "pissa does not go with use_dora"),
        ({"init_lora_weights": "olora", "bias": "all"}, "olora does not go with bias=all"),
        ({"init_lora_weights": "pissa", "target_parameters": "a"}, "does not go with target_parameters"),
        ({"init_lora_weights": "olora", "lora_bias": True}, "does not go with lora_bias"),
        ({"pissa_iterations": 4}, "pissa_iterations is for init_lora_weights=pissa"),
        ({"init_lora_weights": "olora", "pissa_iterations": 4}, "olora is asked for"),
        ({"lora_bias": True, "use_dora": True}, "lora_bias does not go with use_dora"),
        ({"lora_bias": True, "init_lora_weights": "gaussian"}, "lora_bias does not go with init_lora_weights"),
        ({"target_parameters": "a", "use_dora": True}, "target_parameters does not go with use_dora"),
        ({"init_lora_weights": "mica", "use_dora": True}, "mica does not go with use_dora"),
        ({"alpha_pattern": {"q_proj": "a"}}, "the alpha of q_proj is a"),
        ({"rank_pattern": {"q_proj": 2.5}}, "must be a whole number"),
        ({"layers_pattern": "layers"}, "layers_to_transform names none"),
    ],
)
def test_what_does_not_go_together(given: dict[str, Any], says: str) -> None:
    assert says in against("lora", **given)
    assert not against("lora")


def test_the_files_are_the_same_bytes_whatever_order_sets_are_in(tmp_path: Path) -> None:
    """PEFT's own configuration holds sets, whose order differs from process to process."""
    script = (
        "import sys, torch; from pathlib import Path; sys.path[:0] = sys.argv[2:]; "
        "from tuning import mistral, plan, tuner; torch.manual_seed(0); "
        "tuned = tuner('lora').attach(mistral(), plan('lora'), None); tuner('lora').save(tuned, Path(sys.argv[1]))"
    )
    for seed in ("1", "2"):
        command = [sys.executable, "-c", script, str(tmp_path / seed), *sys.path]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
