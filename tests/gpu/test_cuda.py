"""What can only be seen on a GPU. ``make test-gpu`` runs it with the torch that is installed there."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from conftest import Said

from graftlm.contracts.config import RunConfig
from graftlm.environments.probing import probe
from graftlm.planning.resolve import resolve
from graftlm.running.answer import answer
from graftlm.running.merge import Merged, merge
from graftlm.running.train import Trained, carry_out
from graftlm.testing import QuantizationSuite
from graftlm.testing.in_process import start_in_process
from graftlm_registry.models import catalogue
from graftlm_registry.plugins import registry

pytestmark = pytest.mark.gpu
MIB, GIB = 1 << 20, 1 << 30
WITHIN = 0.2
"""Of the measured peak, as promised of the plan's estimate."""
LIBRARIES = {"nf4": "bitsandbytes", "fp4": "bitsandbytes", "int8": "bitsandbytes", "torchao-int8": "torchao"}
MODELS = [name for name in catalogue().names() if catalogue().entry(name).folder is not None]


@pytest.fixture(autouse=True)
def _cuda(home: Path) -> None:
    if "cuda" not in probe().device_types:
        pytest.skip("no CUDA device here")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("backend", ["peft", "trainer"])
def test_it_trains_on_the_device_in_the_precision_that_was_asked(
    alpaca: Path, model: str, dtype: str, backend: str
) -> None:
    config = RunConfig(
        data=str(alpaca), model=model, backend=backend, dtype=dtype, max_steps=20, retention=False, learning_rate=3e-3
    )
    outcome = carry_out(resolve(config, registry()), registry(), lambda event: None, start=start_in_process).outcome
    assert (outcome.effective.device, outcome.effective.dtype) == ("cuda", dtype)
    assert outcome.losses[-1] < outcome.first_loss
    assert outcome.proof.base_before == outcome.proof.base_after


@pytest.mark.parametrize("model", MODELS)
def test_the_first_loss_is_the_cpu_s(alpaca: Path, model: str) -> None:
    def first_loss(device: str) -> float:
        config = RunConfig(data=str(alpaca), model=model, device=device, dtype="fp32", max_steps=2, retention=False)
        plan = resolve(config, registry())
        return carry_out(plan, registry(), lambda event: None, start=start_in_process).outcome.first_loss

    assert first_loss("cuda") == pytest.approx(first_loss("cpu"), abs=1e-3)


def test_the_demo_uses_the_device(run: Callable[..., Said]) -> None:
    said = run("demo", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["new_skill"]["after"] >= 0.95


def trained(data: Path, **settings: Any) -> Trained:
    """A short run, called ``skill``."""
    given: dict[str, Any] = {"max_steps": 20, "retention": False, "learning_rate": 3e-3, "name": "skill", **settings}
    plan = resolve(RunConfig(data=str(data), **given), registry())
    return carry_out(plan, registry(), lambda event: None, start=start_in_process)


def merged_into(out: Path, dtype: str = "") -> Merged:
    return merge("skill", out, registry(), lambda event: None, dtype=dtype, start=start_in_process)


@pytest.mark.parametrize("model", ["tiny-mistral", "tiny-falcon"])
@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
@pytest.mark.parametrize("quantization", LIBRARIES)
def test_a_quantized_base_trains_answers_and_is_merged(
    alpaca: Path, tmp_path: Path, model: str, dtype: str, quantization: str
) -> None:
    pytest.importorskip(LIBRARIES[quantization])
    outcome = trained(alpaca, model=model, dtype=dtype, quantization=quantization).outcome
    effective = outcome.effective
    assert (effective.device, effective.dtype) == ("cuda", dtype)
    assert effective.quantized_layers == effective.linear_layers > 0
    assert outcome.losses[-1] < outcome.first_loss
    assert outcome.proof.base_before == outcome.proof.base_after
    asked = ["Name the colour.\nthing 3"]
    assert len(answer("skill", asked, registry(), lambda event: None, 4, start=start_in_process)) == 1
    merged = merged_into(tmp_path / "merged", "fp32")
    assert merged.difference < 0.01 * merged.effect


@pytest.mark.parametrize("quantization", LIBRARIES)
def test_a_quantized_base_begins_with_the_cpu_s_loss(alpaca: Path, quantization: str) -> None:
    pytest.importorskip(LIBRARIES[quantization])

    def first_loss(device: str) -> float:
        given = {"model": "tiny-mistral", "dtype": "fp32", "quantization": quantization, "max_steps": 2}
        return trained(alpaca, device=device, **given).outcome.first_loss

    assert first_loss("cuda") == pytest.approx(first_loss("cpu"), abs=0.05)


def test_dora_trains_on_an_int8_base(alpaca: Path) -> None:
    """On a CPU, PEFT loses the scales of such weights, and the plan refuses it."""
    pytest.importorskip("bitsandbytes")
    outcome = trained(alpaca, model="tiny-mistral", dtype="bf16", quantization="int8", method="dora").outcome
    assert outcome.losses[-1] < outcome.first_loss


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("method", ["lora", "dora", "freeze", "full"])
def test_what_was_trained_there_is_merged_there(alpaca: Path, tmp_path: Path, dtype: str, method: str) -> None:
    trained(alpaca, model="tiny-mistral", dtype=dtype, method=method, learning_rate=2e-3)
    merged = merged_into(tmp_path / "merged")
    assert merged.dtype == dtype
    assert merged.difference < (1e-3 if dtype == "fp32" else 0.2) * merged.effect


@pytest.mark.parametrize("backend", ["peft", "trainer"])
def test_checkpointing_takes_less_and_changes_no_loss(alpaca: Path, backend: str) -> None:
    given = {"model": "tiny-mistral", "dtype": "fp32", "backend": backend, "max_steps": 5}
    plain, less = trained(alpaca, **given).outcome, trained(alpaca, gradient_checkpointing=True, **given).outcome
    assert less.effective.gradient_checkpointing
    assert less.losses == pytest.approx(plain.losses, abs=1e-4)
    assert plain.memory is not None
    assert less.memory is not None
    assert less.memory.device_peak < plain.memory.device_peak


@pytest.mark.parametrize("settings", [{}, {"gradient_checkpointing": True}, {"method": "full"}], ids=str)
def test_the_plan_s_memory_is_the_measured_peak(tmp_path: Path, settings: dict[str, Any]) -> None:
    """A cell of more than a GiB, its rows as long as they may be."""
    import torch

    from graftlm.worker.random_weights import random_weights

    source = catalogue().entry("tiny-mistral").folder
    assert source is not None
    folder = tmp_path / "model"
    folder.mkdir()
    for path in source.iterdir():
        if path.name.startswith(("tokenizer", "chat_template")):
            shutil.copyfile(path, folder / path.name)
    config = {
        "model_type": "mistral", "hidden_size": 1024, "intermediate_size": 3584, "num_hidden_layers": 12,
        "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 64, "vocab_size": 32000,
        "max_position_embeddings": 4096, "sliding_window": None, "dtype": "bfloat16",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    random_weights(folder)
    rows = [{"instruction": "Go on.", "input": "", "output": f"{i} word" * 2000} for i in range(24)]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    gc.collect()
    torch.cuda.empty_cache()
    given: dict[str, Any] = {
        "model": str(folder), "dtype": "bf16", "max_steps": 2, "batch_size": 8, "micro_batch": 4, "max_length": 1024,
        "overlong": "truncate-right", "learning_rate": 1e-4, "test_split": 0.0, "val_split": 0.0, "retention": False,
        **settings,
    }  # fmt: skip
    plan = resolve(RunConfig(data=str(data), **given), registry())
    assert plan.memory is not None
    assert plan.memory.tokens == 1024
    outcome = carry_out(plan, registry(), lambda event: None, start=start_in_process).outcome
    assert outcome.memory is not None
    measured = outcome.memory.training
    assert measured == outcome.memory.device_peak > GIB
    assert outcome.memory.device_reserved >= outcome.memory.device_peak
    assert plan.memory.total == pytest.approx(measured, rel=WITHIN), f"{plan.memory} against {measured // MIB} MiB"


LLAMA_LIKE = {
    "vocab_size": 64, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip
BASES: Mapping[str, Mapping[str, Any]] = {
    "mistral": {"model_type": "mistral", **LLAMA_LIKE},
    "glm4": {"model_type": "glm4", **LLAMA_LIKE},
    "falcon/7b": {
        "model_type": "falcon", "vocab_size": 64, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "bos_token_id": 1, "eos_token_id": 1, "multi_query": True, "parallel_attn": True,
    },
}  # fmt: skip


class OnCuda(QuantizationSuite):
    device = "cuda"
    configs = BASES

    @pytest.fixture(autouse=True)
    def _library(self) -> None:
        pytest.importorskip(LIBRARIES[self.quantization])


class TestNf4(OnCuda):
    quantization = "nf4"
    error: ClassVar[float] = 0.11


class TestInt8(OnCuda):
    quantization = "int8"
    error: ClassVar[float] = 0.02


class TestTorchaoInt8(OnCuda):
    quantization = "torchao-int8"
    error: ClassVar[float] = 0.02
