"""A base is loaded as it was asked, whole, or the run says what is wrong; and what trains is what the plan says."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_models import configuration, small_model
from test_from_adapter import World, little_to_collect

from graftlm.contracts.errors import GraftlmError, ModelError, RunError, StoreError
from graftlm.contracts.job import GenerateJob
from graftlm.contracts.load import LoadPlan
from graftlm.contracts.outcome import Outcome
from graftlm.contracts.serial import from_json
from graftlm.running.answer import answer
from graftlm.running.merge import merge
from graftlm.running.train import carry_out
from graftlm.running.worker_process import run_worker
from graftlm.testing.in_process import start_in_process
from graftlm.worker.load import load_base
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry

PLAIN = LoadPlan(name="m", dtype="fp32", attention="sdpa")
FALCON = "transformers.models.falcon.modeling_falcon:FalconLinear"
NF4 = replace(
    PLAIN, quantization="nf4", options={"double_quant": True, "compute_dtype": "auto", "partial": False},
    linear_classes=(FALCON,),
)  # fmt: skip

FAILED = re.compile("m cannot be loaded from|lacks weights of m")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, _probed: Path) -> Iterator[World]:
    with little_to_collect():
        yield World(tmp_path_factory.mktemp("loading"), _probed)


@pytest.fixture
def world(built: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    built.copy(tmp_path / "graftlm", monkeypatch)
    return built


def trained(world: World, **settings: Any) -> Outcome:
    return world.train(**{"model": str(world.model), "dtype": "fp32", "name": "skill", **settings}).outcome


def said(name: str, start: Any = start_in_process) -> list[str]:
    return answer(name, ["Name the colour.", "thing 3"], registry(), lambda event: None, 4, start=start)


# --- a family's own linear class ---------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["falcon-7b", "falcon-40b", "falcon-rw"])
def test_a_family_s_linear_class_is_replaced_only_while_it_is_loaded(architecture: str, tmp_path: Path) -> None:
    from transformers.models.falcon import modeling_falcon

    own, folder = modeling_falcon.FalconLinear, small_model(architecture, tmp_path)
    base = load_base(NF4, folder, "cpu")
    assert modeling_falcon.FalconLinear is own
    assert set(base.quantized) == set(base.linear)
    assert len(base.linear) == 8
    assert {type(m) for m in load_base(PLAIN, folder, "cpu").model.modules() if isinstance(m, torch.nn.Linear)} >= {own}
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: weights[name] for name in list(weights)[1:]}, folder / "model.safetensors", metadata={"format": "pt"}
    )
    with pytest.raises(ModelError):
        load_base(NF4, folder, "cpu")
    assert modeling_falcon.FalconLinear is own


def test_without_the_cure_nothing_is_quantized_and_the_run_fails(world: World, tmp_path: Path) -> None:
    """transformers itself says nothing of it, and calls the model one in 4 bits."""
    folder = small_model("falcon-7b", tmp_path)
    plan = world.plan(model=str(folder), quantization="nf4", dtype="fp32")
    assert plan.load.linear_classes == (FALCON,)
    assert world.plan(model=str(folder)).load.linear_classes == ()
    uncured = replace(plan, load=replace(plan.load, linear_classes=()))
    with pytest.raises(RunError, match=r"quantization nf4, and 0 of 8 linear layers are quantized, the first that is"):
        carry_out(uncured, registry(), lambda event: None, start=start_in_process)
    assert list(open_store().names()) == []


# --- what lacks ------------------------------------------------------------------------------------------------------


def changed(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("architecture", "tensor"),
    [
        ("mistral", "model.layers.1.self_attn.k_proj.weight"),
        ("mistral", "model.norm.weight"),
        ("mistral", "lm_head.weight"),
        ("qwen2", "model.layers.0.self_attn.q_proj.bias"),
        ("mixtral", "model.layers.1.block_sparse_moe.experts.3.w2.weight"),
        ("qwen3_moe", "model.layers.0.mlp.experts.2.up_proj.weight"),
    ],
)
def test_a_tensor_that_lacks_is_named(architecture: str, tensor: str, tmp_path: Path) -> None:
    """transformers would draw random numbers for it."""
    folder = small_model(architecture, tmp_path)
    load_base(PLAIN, folder, "cpu")
    changed(folder, lambda weights: weights.pop(tensor))
    with pytest.raises(ModelError, match=FAILED) as refused:
        load_base(PLAIN, folder, "cpu")
    assert str(folder) in str(refused.value)
    if "experts" not in tensor:
        assert f"lacks weights of m: 1 tensors, the first {tensor}" in str(refused.value)


def test_a_tensor_of_another_shape_is_refused(tmp_path: Path) -> None:
    folder = small_model("mistral", tmp_path)
    name = "model.layers.0.mlp.up_proj.weight"
    changed(folder, lambda weights: weights.update({name: weights[name][:-1].clone()}))
    with pytest.raises(ModelError, match=FAILED):
        load_base(PLAIN, folder, "cpu")


def test_a_configuration_of_more_layers_than_there_are_is_refused(tmp_path: Path) -> None:
    folder = small_model("mistral", tmp_path)
    config = configuration(folder) | {"num_hidden_layers": 3}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match=r"lacks weights of m: 9 tensors, the first model\.layers\.2\."):
        load_base(PLAIN, folder, "cpu")


def test_a_configuration_of_fewer_layers_than_there_are_is_refused(tmp_path: Path) -> None:
    folder = small_model("mistral", tmp_path)
    config = configuration(folder) | {"num_hidden_layers": 1}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError):
        load_base(PLAIN, folder, "cpu")


def test_half_a_checkpoint_is_refused(tmp_path: Path) -> None:
    """One of its files is not there; or is cut off; or holds nothing."""
    from transformers import AutoModelForCausalLM

    folder = small_model("mistral", tmp_path)
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder, max_shard_size="200KB")
    (folder / "model.safetensors").unlink(missing_ok=True)
    parts = sorted(folder.glob("model-*.safetensors"))
    assert len(parts) > 1
    load_base(PLAIN, folder, "cpu")
    content = parts[-1].read_bytes()
    for damaged in (None, content[: len(content) // 2], b""):
        parts[-1].unlink(missing_ok=True)
        if damaged is not None:
            parts[-1].write_bytes(damaged)
        with pytest.raises(ModelError, match=f"m cannot be loaded from {folder}: "):
            load_base(PLAIN, folder, "cpu")
    parts[-1].write_bytes(content)
    (folder / "model.safetensors.index.json").unlink()
    with pytest.raises(ModelError, match="m cannot be loaded from"):
        load_base(PLAIN, folder, "cpu")


def test_a_base_that_lacks_weights_publishes_nothing(world: World, tmp_path: Path) -> None:
    folder = small_model("qwen3", tmp_path)
    changed(folder, lambda weights: weights.pop("model.layers.1.self_attn.q_norm.weight"))
    with pytest.raises(
        ModelError, match=r"lacks weights of qwen3: 1 tensors, the first model\.layers\.1\.self_attn\.q_n"
    ):
        trained(world, model=str(folder))
    assert list(open_store().names()) == []
    assert list((tmp_path / "graftlm" / "store" / "staging").iterdir()) == []


# --- quantized bases --------------------------------------------------------------------------------------------------


def test_an_adapter_of_a_quantized_base_answers_on_one_and_refuses_another(world: World, tmp_path: Path) -> None:
    folder = shutil.copytree(world.model, tmp_path / "mistral")
    outcome = trained(world, model=str(folder), quantization="nf4", max_steps=3)
    assert outcome.effective.quantized_layers == outcome.effective.linear_layers == 14
    shape = world.plan(model=str(folder)).model.facts.shape
    assert shape is not None
    assert outcome.effective.quantized_share == pytest.approx(shape.in_linear / shape.parameters, abs=1e-6)
    jobs: list[GenerateJob] = []

    def start(job: str, run: Path, on_event: Any) -> Mapping[str, Any]:
        jobs.append(from_json((run / "job.json").read_bytes(), GenerateJob, "the job"))
        return start_in_process(job, run, on_event)

    assert len(said("skill", start)) == 2
    assert (jobs[0].who.load.quantization, jobs[0].who.load.options["double_quant"]) == ("nf4", True)
    assert jobs[0].who.kept is not None
    changed(folder, lambda weights: weights["model.layers.0.self_attn.v_proj.weight"][0, 0].add_(1e-3))
    with pytest.raises(StoreError, match="is not the base that skill@1 was trained on"):
        said("skill", start)
    plain = trained(world, model=str(folder), name="plain", max_steps=1)
    assert plain.proof.base_before == plain.proof.base_after
    assert len(said("plain")) == 2
    changed(folder, lambda weights: weights["model.layers.0.self_attn.v_proj.weight"][0, 0].add_(1e-3))
    with pytest.raises(GraftlmError, match="are not those that this adapter was trained on"):
        said("plain")


# --- precision --------------------------------------------------------------------------------------------------------


def test_fp16_on_a_cpu_trains_with_a_gradient_scaler(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gradient below 6e-8 is nothing in fp16 by itself."""
    scales: list[tuple[bool, float]] = []

    class Watched(torch.amp.GradScaler):
        def scale(self, outputs: Any) -> Any:
            scaled = super().scale(outputs)
            scales.append((self.is_enabled(), float((scaled / outputs).detach())))
            return scaled

    monkeypatch.setattr(torch.amp, "GradScaler", Watched)
    exact = trained(world, max_steps=8, learning_rate=5e-3)
    assert {enabled for enabled, _ in scales} == {False}
    scales.clear()
    half = trained(world, dtype="fp16", max_steps=8, learning_rate=5e-3)
    assert half.effective.dtype == "fp16"
    assert len(scales) == 8
    assert all(enabled and scale >= 1024 for enabled, scale in scales)
    assert half.first_loss == pytest.approx(exact.first_loss, abs=0.01)
    assert half.losses[-1] < half.first_loss - 0.3
    assert half.proof.reload <= max(1e-5, 0.01 * half.proof.effect)


def test_full_training_in_bf16_steps_in_fp32_and_keeps_what_is_rounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step here is smaller than what bf16 can tell apart in most weights; forty of them are not."""
    from graftlm_plugins.methods.overlay_tuner import FullTuner

    seen: list[set[torch.dtype]] = []
    save = FullTuner.save

    def watched(self: FullTuner, model: Any, folder: Path) -> None:
        seen.append({p.dtype for p in model.parameters()})
        save(self, model, folder)
        seen.append({p.dtype for p in model.parameters()})

    monkeypatch.setattr(FullTuner, "save", watched)
    outcome = trained(
        world, dtype="bf16", method="full", learning_rate=1e-5, schedule="constant", warmup=0.0, max_steps=40
    )
    assert seen == [{torch.float32}, {torch.bfloat16}]
    kept = load_file(open_store().path("skill") / "overlay.safetensors")
    base = load_file(world.model / "model.safetensors")
    assert {tensor.dtype for tensor in kept.values()} == {torch.bfloat16}
    assert kept.keys() == base.keys()
    name = "model.layers.0.mlp.up_proj.weight"
    before = base[name].to(torch.bfloat16)
    large = before.float().abs() > 2**-6  # bf16's values are 2**-13 and more apart there, six times what a step is
    assert (kept[name] != before)[large].float().mean() > 0.2
    assert outcome.effective.dtype == "bf16"
    assert outcome.losses[-1] < outcome.first_loss


def test_a_tied_head_is_one_with_the_embeddings(world: World, tmp_path: Path) -> None:
    for architecture, tied in (("qwen3", True), ("qwen2", False)):
        folder = small_model(architecture, tmp_path)
        base = load_base(PLAIN, folder, "cpu").model
        assert (base.get_output_embeddings().weight is base.get_input_embeddings().weight) is tied
        shape = world.plan(model=str(folder)).model.facts.shape
        assert shape is not None
        assert shape.tied is tied
        outcome = trained(world, model=str(folder), method="full", learning_rate=3e-3, name=architecture, max_steps=4)
        assert outcome.effective.trainable_parameters == outcome.effective.total_parameters == shape.parameters
        kept = load_file(open_store().path(architecture) / "overlay.safetensors")
        assert ("lm_head.weight" in kept) is not tied
        assert outcome.losses[-1] < outcome.first_loss


# --- gradient checkpointing -------------------------------------------------------------------------------------------


def kept_for_backward(world: World, **settings: Any) -> tuple[int, Outcome]:
    """How many tensors autograd kept while a run trained."""
    count = 0

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal count
        count += 1
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outcome = trained(world, max_steps=3, learning_rate=5e-3, **settings)
    return count, outcome


@pytest.mark.parametrize("backend", ["peft", "trainer"])
@pytest.mark.parametrize("method", [{}, {"method": "full", "learning_rate": 1e-3}], ids=["lora", "full"])
def test_checkpointing_keeps_less_and_changes_nothing(world: World, backend: str, method: dict[str, Any]) -> None:
    settings = {"backend": backend, **{name: value for name, value in method.items() if name == "method"}}
    plain, without = kept_for_backward(world, **settings)
    fewer, outcome = kept_for_backward(world, gradient_checkpointing=True, **settings)
    assert outcome.effective.gradient_checkpointing
    assert not without.effective.gradient_checkpointing
    assert fewer < plain / 3
    assert outcome.losses == pytest.approx(without.losses, abs=1e-5)
    assert outcome.effective.backend == backend


# --- memory, and what is imported -----------------------------------------------------------------------------------


def imported(log: str, package: str) -> int:
    """How many modules of a package a Python of ``PYTHONPROFILEIMPORTTIME`` says it has looked for. Of one that is
    hidden it asks for the package alone, and hears that there is none.
    """
    names = (line.rpartition("|")[2].strip() for line in log.splitlines() if line.startswith("import time:"))
    return sum(name.startswith(f"{package}.") for name in names)


def test_a_real_worker_says_what_it_took_and_imports_no_quantizer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    plan = world.plan(model=str(world.model), dtype="fp32", max_steps=2, name="skill")
    done = carry_out(plan, registry(), lambda event: None, start=run_worker)
    log = (done.run / "log.txt").read_text(encoding="utf-8")
    assert all(imported(log, package) > 20 for package in ("torch", "transformers", "peft"))
    assert [imported(log, package) for package in ("bitsandbytes", "torchao")] == [0, 0]
    memory, planned = done.outcome.memory, plan.memory
    assert memory is not None
    assert planned is not None
    assert 100e6 < memory.imports < memory.peak < 3e9
    assert (memory.device_peak, memory.device_reserved) == (0, 0)
    assert memory.training == memory.peak - memory.imports
    assert 0 < planned.total < 100e6  # of a model of 0.1 M parameters
    assert planned.fits
    effective = done.outcome.effective
    assert planned.weights == 4 * (effective.total_parameters - effective.trainable_parameters)
    assert planned.trained == 4 * effective.trainable_parameters
    assert planned.tokens > 8


def test_a_real_worker_imports_the_quantizer_that_its_base_needs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(world, quantization="nf4", max_steps=1)
    logs: list[str] = []

    def start(job: str, folder: Path, on_event: Any) -> Mapping[str, Any]:
        last = run_worker(job, folder, on_event)
        logs.append((folder / "log.txt").read_text(encoding="utf-8"))
        return last

    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    assert len(said("skill", start)) == 2
    assert imported(logs[0], "bitsandbytes") > 10
    assert imported(logs[0], "torchao") == 0


# --- drawn weights ----------------------------------------------------------------------------------------------------


def test_a_shape_trains_answers_and_is_merged(world: World, tmp_path: Path) -> None:
    outcome = trained(world, model="shape:tiny-qwen", max_steps=4, learning_rate=3e-3)
    assert outcome.losses[-1] < outcome.first_loss
    assert outcome.proof.base_before == outcome.proof.base_after
    record = open_store().get("skill")
    assert (record.base.source, record.base.reference) == ("shape", "shape:tiny-qwen")
    assert len(said("skill")) == 2
    merged = merge("skill", tmp_path / "out", registry(), lambda event: None, start=start_in_process)
    assert merged.difference < 1e-4 < merged.effect
    again = trained(world, model="shape:tiny-qwen", max_steps=4, learning_rate=3e-3, name="again")
    assert again.digest == outcome.digest
