"""The plan's estimate of memory: against what autograd keeps, against real runs, and against itself."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from graftlm.contracts.errors import ModelError
from graftlm.contracts.load import LoadPlan
from graftlm.contracts.model import FamilyFacts
from graftlm.contracts.plan import MemoryPlan
from graftlm.contracts.specs import ModelFamily
from graftlm.planning.memory import estimate
from graftlm.planning.memory.advice import NF4
from graftlm_registry.plugins import registry

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
WITHIN = 0.2
"""Of the measured peak, as promised."""
SPARE = 1 << 40
LLAMA = {
    "hidden_size": 256, "intermediate_size": 896, "num_hidden_layers": 4, "num_attention_heads": 8,
    "num_key_value_heads": 2, "vocab_size": 512, "max_position_embeddings": 1024, "head_dim": 32,
    "tie_word_embeddings": False,
}  # fmt: skip
FALCON = {
    "model_type": "falcon", "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 8, "vocab_size": 512,
    "bias": False, "alibi": False, "tie_word_embeddings": True,
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    "mistral": {**LLAMA, "model_type": "mistral", "sliding_window": None},
    "qwen2": {**LLAMA, "model_type": "qwen2"},
    "qwen3": {**LLAMA, "model_type": "qwen3", "head_dim": 64, "num_key_value_heads": 4},
    "glm": {**LLAMA, "model_type": "glm", "pad_token_id": 0, "attention_bias": True},
    "glm4": {**LLAMA, "model_type": "glm4", "pad_token_id": 0, "attention_bias": True},
    "mixtral": {**LLAMA, "model_type": "mixtral", "num_local_experts": 8, "sliding_window": None},
    "qwen3_moe": {**LLAMA, "model_type": "qwen3_moe", "moe_intermediate_size": 128, "num_experts": 16,
                  "num_experts_per_tok": 4},
    "falcon-7b": {**FALCON, "multi_query": True, "parallel_attn": True, "new_decoder_architecture": False},
    "falcon-40b": {**FALCON, "num_kv_heads": 2, "new_decoder_architecture": True},
    "falcon-rw": {**FALCON, "multi_query": False, "parallel_attn": False, "new_decoder_architecture": False},
}  # fmt: skip
QWEN_HALF_B = {
    "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
    "num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 151936, "tie_word_embeddings": True,
    "max_position_embeddings": 32768,
}  # fmt: skip


def facts_of(config: Mapping[str, Any]) -> FamilyFacts:
    plugins = registry()
    families = (plugins.get(ModelFamily, name) for name in plugins.names("family"))
    return next(f for f in families if config["model_type"] in f.model_types).facts(config)


def planned(config: Mapping[str, Any] = QWEN_HALF_B, *, dtype: str = "bf16", **changes: Any) -> MemoryPlan:
    """A LoRA run on a GPU, and what is changed of it."""
    load = LoadPlan(name="model", dtype=dtype, attention="sdpa", quantization=changes.pop("quantization", "none"))
    given: dict[str, Any] = {
        "bits": 0, "trained": 8_798_208, "keeps": "adapter", "samples": 4, "tokens": 1024, "checkpointing": False,
        "device": "cuda", "available": SPARE,
    }  # fmt: skip
    return estimate(facts_of(config), load=load, **{**given, **changes})


# --- against what autograd keeps ------------------------------------------------------------------------------------


def autograd_keeps(
    config: Mapping[str, Any], dtype: str, targets: Sequence[str], samples: int, tokens: int
) -> tuple[int, int]:
    """Bytes of the storages that a forward pass keeps beside the parameters, and how many are trained."""
    torch.manual_seed(0)
    half = torch.bfloat16 if dtype == "bf16" else None
    own = AutoConfig.for_model(**config)
    model: Any = AutoModelForCausalLM.from_config(own, dtype=half or torch.float32, attn_implementation="sdpa")
    if targets:
        model = get_peft_model(model, LoraConfig(r=16, target_modules=list(targets), task_type="CAUSAL_LM"))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    model.train()
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    storages: dict[int, int] = {}
    alive = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            storages[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)  # else another tensor may come to lie where this one was
        return tensor

    ids = torch.randint(0, config["vocab_size"], (samples, tokens))
    mask = torch.ones_like(ids)
    mask[1:, -3:] = 0
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", half, enabled=half is not None),
    ):
        model(input_ids=ids, attention_mask=mask if samples > 1 else None, use_cache=False)
    return sum(storages.values()), sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("name", CONFIGS)
def test_activations_are_what_autograd_keeps_under_lora(name: str, dtype: str) -> None:
    facts = facts_of(CONFIGS[name])
    for targets in (facts.default_targets, facts.attention):
        for samples, tokens in ((4, 64), (1, 192)):
            kept, trained = autograd_keeps(CONFIGS[name], dtype, targets, samples, tokens)
            memory = planned(
                CONFIGS[name], dtype=dtype, trained=trained, samples=samples, tokens=tokens, targets=targets
            )
            assert memory.activations == pytest.approx(kept, rel=WITHIN), (targets, samples)


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["mistral", "glm4", "falcon-7b", "mixtral"])
def test_activations_are_what_autograd_keeps_where_all_is_trained(name: str, dtype: str) -> None:
    kept, trained = autograd_keeps(CONFIGS[name], dtype, (), 4, 64)
    memory = planned(CONFIGS[name], dtype=dtype, trained=trained, keeps="overlay", samples=4, tokens=64)
    assert memory.activations == pytest.approx(kept, rel=WITHIN)


# --- against itself -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"samples": 8}, {"tokens": 2048}, {"trained": 35_192_832}, {"dtype": "fp32"}])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_more_work_takes_more_memory(change: dict[str, Any], device: str) -> None:
    assert planned(device=device, **change).total > planned(device=device).total


def test_what_is_trained_takes_sixteen_bytes_a_scalar() -> None:
    one, two = planned(trained=10**7), planned(trained=2 * 10**7)
    for part in ("trained", "gradients", "optimizer"):
        assert getattr(two, part) == 2 * getattr(one, part)
    assert one.trained + one.gradients + one.optimizer == 16 * 10**7


def test_checkpointing_keeps_less_and_costs_nothing_else() -> None:
    plain, checkpointed = planned(), planned(checkpointing=True)
    assert checkpointed.activations < plain.activations / 5
    assert checkpointed.logits == plain.logits
    assert checkpointed.total < plain.total


def test_quantized_weights_take_their_bits() -> None:
    shape = facts_of(QWEN_HALF_B).shape
    assert shape is not None
    plain, quantized = planned(), planned(bits=4.127, quantization="nf4")
    assert plain.weights == 2 * shape.parameters
    assert quantized.weights == pytest.approx(shape.in_linear * 4.127 / 8 + shape.embedding * 2, rel=0.01)


def test_on_a_cpu_files_of_another_precision_are_there_beside_the_weights_while_they_are_read() -> None:
    few = {"samples": 1, "tokens": 8, "device": "cpu"}
    shape = facts_of(QWEN_HALF_B).shape
    assert shape is not None
    cast, kept = planned(dtype="fp32", **few), planned(dtype="fp32", stored="fp32", **few)
    assert cast.weights == kept.weights == 4 * shape.parameters
    assert cast.total - cast.weights > 2 * shape.parameters > kept.total - kept.weights


def test_logits_go_with_the_vocabulary_and_with_what_is_answered() -> None:
    small = planned({**QWEN_HALF_B, "vocab_size": 15_1936 // 8})
    assert planned().logits == 8 * small.logits
    assert planned(answered=0.25).logits < planned().logits / 2
    assert planned(answered=0.25).activations == planned().activations


def test_gradients_and_activations_are_not_there_together_without_accumulation() -> None:
    whole = {"trained": 494_032_768, "keeps": "overlay", "samples": 1}
    apart, together = planned(accumulates=False, **whole), planned(**whole)
    assert apart.total < together.total
    assert apart.total >= apart.weights + apart.trained + apart.optimizer + apart.gradients


def test_only_the_last_layers_are_kept_where_the_others_are_frozen() -> None:
    shape = facts_of(QWEN_HALF_B).shape
    assert shape is not None
    layer = (shape.in_linear + shape.other) // shape.layers
    two, four = (planned(trained=n * layer, keeps="overlay").activations for n in (2, 4))
    assert two < four < planned().activations
    assert four == pytest.approx(2 * two, rel=0.1)


def test_a_family_that_tells_no_shape_has_no_estimate() -> None:
    facts = replace(facts_of(QWEN_HALF_B), shape=None)
    load = LoadPlan(name="model", dtype="bf16", attention="sdpa")
    with pytest.raises(ModelError, match="nothing of its shape"):
        estimate(
            facts, load=load, bits=0, trained=1, keeps="adapter", samples=1, tokens=1, checkpointing=False,
            device="cpu", available=1,
        )  # fmt: skip


# --- advice ---------------------------------------------------------------------------------------------------------


def applied(advice: str, **changes: Any) -> MemoryPlan:
    """The plan with the flags of an advice."""
    given = {"dtype": "fp32", **changes}
    for flag, value in re.findall(r"--([a-z-]+)(?: ([a-z0-9]+))?", advice.partition(" would ")[0]):
        if flag == "quantization":
            given |= {"bits": NF4, "quantization": value}
        elif flag == "method":
            given |= {"keeps": "adapter", "trained": 8_798_208}
        else:
            key = {"gradient-checkpointing": "checkpointing", "micro-batch": "samples", "max-length": "tokens"}
            given[key.get(flag, flag)] = value if flag == "dtype" else int(value or True)
    return planned(**given)


@pytest.mark.parametrize(
    ("available", "changes", "flags"),
    [
        (0.9, {}, ["--gradient-checkpointing"]),
        (0.9, {"checkpointing": True}, ["--micro-batch"]),
        (0.9, {"checkpointing": True, "samples": 1}, ["--max-length"]),
        (0.55, {"checkpointing": True, "samples": 1}, ["--max-length", "--dtype"]),
        (0.22, {}, ["--gradient-checkpointing", "--micro-batch"]),
        (0.9, {"samples": 1, "tokens": 60, "checkpointing": True}, ["--dtype"]),
        (0.9, {"samples": 1, "tokens": 60, "checkpointing": True, "dtype": "bf16"}, ["--quantization"]),
        (0.6, {"samples": 1, "tokens": 60, "checkpointing": True, "keeps": "overlay", "trained": 494_032_768},
         ["--method"]),
        (0.1, {"samples": 1, "tokens": 60, "dtype": "bf16", "keeps": "overlay", "trained": 494_032_768},
         ["--quantization", "--method"]),
    ],
)  # fmt: skip
def test_advice_makes_it_fit(available: float, changes: dict[str, Any], flags: list[str]) -> None:
    given = {"dtype": "fp32", **changes}
    room = int(planned(**given).total * available)
    short = planned(available=room, **given)
    assert not short.fits
    (advice,) = short.advice
    assert re.findall(r"--[a-z-]+", advice) == flags, advice
    assert applied(advice, available=room, **changes).fits


def test_there_is_no_advice_where_it_fits() -> None:
    assert planned().advice == ()


def test_where_nothing_helps_a_smaller_model_is_advised() -> None:
    (advice,) = planned(available=100_000_000).advice
    assert re.fullmatch(r"whatever is chosen, it needs about \d+\.\d GiB: take a smaller model", advice)


# --- against real runs ----------------------------------------------------------------------------------------------


def measured(*names: str) -> list[dict[str, Any]]:
    command = [sys.executable, str(BENCHMARKS / "memory.py"), "--json", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def check(cells: list[dict[str, Any]]) -> None:
    for cell in cells:
        assert cell["measured_gib"] >= 0.75, cell
        assert cell["planned_gib"] == pytest.approx(cell["measured_gib"], rel=WITHIN), cell


def test_a_run_takes_what_its_plan_says() -> None:
    (cell,) = measured("quick")
    check([cell])


@pytest.mark.slow
def test_every_run_takes_what_its_plan_says() -> None:
    check(measured())
