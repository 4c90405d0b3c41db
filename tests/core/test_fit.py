"""The worker's job ``fit``: an adapter of any tool on its base, measured and proved, or an error."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_from_adapter import World, little_to_collect

from graftlm.contracts.errors import GraftlmError, RunError, UsageError
from graftlm.contracts.job import Answerer, Kept
from graftlm.contracts.load import LoadPlan
from graftlm.contracts.outcome import Effective, Proof
from graftlm.running.answerers import of_adapter
from graftlm.running.fitting import PROMPTS, held_out, prove_fit, texts_for
from graftlm.running.stored import stored
from graftlm.testing.in_process import start_in_process
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry

TENSORS = "adapter_model.safetensors"
SCALARS = {"q_proj": (64, 64), "down_proj": (96, 64)}
"""Inputs and outputs of the modules that are adapted, in each of two layers."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, _probed: Path) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("fit"), _probed)
    with little_to_collect():
        world.train_all({"lora": {"max_steps": 2}})
        yield world


@pytest.fixture
def world(built: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    built.copy(tmp_path / "graftlm", monkeypatch)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return built


def by_peft(model: Path, folder: Path, scale: float = 0.05, **options: Any) -> Path:
    """An adapter that PEFT alone wrote, its B matrices drawn."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(3)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=list(SCALARS), task_type="CAUSAL_LM", **options)
    tuned = get_peft_model(AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), config)
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, scale) if scale else parameter.zero_()
    tuned.save_pretrained(folder)
    return folder


def who(world: World, folder: Path, method: str = "lora", **kept: Any) -> Answerer:
    return Answerer(
        model=str(world.model),
        weights="files",
        load=LoadPlan(name="mistral", dtype="fp32", attention="sdpa"),
        kept=Kept(folder=str(folder), method=method, **kept),
        template="mistral-v3",
        device="cpu",
    )


def prove(asked: Answerer) -> tuple[Effective, Proof]:
    return prove_fit(asked, texts_for(asked, registry()), lambda event: None, start=start_in_process)


def logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model.eval()(input_ids=ids, use_cache=False).logits
    return found


def test_what_plain_peft_wrote_is_measured_and_proved(world: World, tmp_path: Path) -> None:
    """The effect is the one that PEFT and transformers alone show on the same prompts."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from graftlm.encoding.tokenizing import SpanTokenizer

    folder = by_peft(world.model, tmp_path / "theirs")
    asked = who(world, folder)
    effective, proof = prove(asked)
    own = sum(2 * 4 * (inputs + outputs) for inputs, outputs in SCALARS.values())
    assert effective.adapted_modules == {"down_proj": 2, "q_proj": 2}
    assert (effective.adapted_layers, effective.linear_layers) == (4, 14)
    assert effective.trainable_parameters == own
    base = AutoModelForCausalLM.from_pretrained(world.model, dtype=torch.float32)
    scalars = sum(p.numel() for p in base.parameters())
    assert effective.total_parameters == scalars + own
    assert (effective.dtype, effective.device, effective.attention) == ("fp32", "cpu", "sdpa")
    assert (effective.backend, effective.loss, effective.batch_size, effective.micro_batch) == ("", "", 0, 0)
    tokenizer = SpanTokenizer.from_folder(world.model)
    texts = [torch.tensor([tokenizer.one_piece(text)]) for text in texts_for(asked, registry())]
    assert len(texts) == len(PROMPTS)
    plain = [logits(base, ids) for ids in texts]
    tuned = PeftModel.from_pretrained(base, folder)
    largest = max(float((logits(tuned, ids) - before).abs().max()) for ids, before in zip(texts, plain, strict=True))
    assert proof.effect == pytest.approx(largest, rel=1e-4)
    assert proof.effect > 0.01
    assert proof.reload == 0
    assert proof.base_before == proof.base_after == open_store().get("lora").base.weights_digest
    assert not list((tmp_path / "temporary").glob("graftlm-*"))


def test_an_adapter_of_the_store_fits_too(world: World) -> None:
    """It says the same as the training did."""
    record = open_store().get("lora")
    asked = of_adapter(stored(record, open_store(), registry()), registry())
    effective, proof = prove(asked)
    then = record.effective
    for name in ("adapted_modules", "trainable_parameters", "total_parameters", "linear_layers", "rope", "dtype"):
        assert getattr(effective, name) == getattr(then, name), name
    assert proof.base_after == record.base.weights_digest
    assert held_out(record) == ()


@pytest.mark.parametrize(
    ("scale", "damage", "words"),
    [
        (0.0, "", "the adapter changes nothing"),
        (0.05, "lacks", "lacks 1 tensors of the adapter"),
        (0.05, "strange", "has 1 tensors that do not fit this base"),
        (0.05, "inf", "infinite or no numbers"),
    ],
)
def test_what_is_no_adapter_of_this_base_is_refused(
    world: World, tmp_path: Path, scale: float, damage: str, words: str
) -> None:
    folder = by_peft(world.model, tmp_path / "theirs", scale)
    tensors = load_file(folder / TENSORS)
    first = sorted(tensors)[0]
    if damage == "lacks":
        del tensors[first]
    elif damage == "strange":
        tensors[first.replace("layers.0", "layers.7")] = tensors[first].clone()
    elif damage == "inf":
        tensors[first][0, 0] = float("inf")
    save_file(tensors, folder / TENSORS, metadata={"format": "pt"})
    with pytest.raises(RunError, match=words):
        prove(who(world, folder))
    assert not list((tmp_path / "temporary").glob("graftlm-*"))


def test_another_base_than_the_adapter_s_is_refused(world: World, tmp_path: Path) -> None:
    folder = by_peft(world.model, tmp_path / "theirs")
    with pytest.raises(GraftlmError, match="are not those that this adapter was trained on"):
        prove(who(world, folder, weights_digest="0" * 64))


def test_files_that_change_between_the_loads_are_noticed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reload difference is measured: nobody just says that it is 0."""
    from graftlm.worker import fitting

    folder, whole = by_peft(world.model, tmp_path / "theirs"), fitting.base_of
    loads = 0

    def base_of(asked: Answerer) -> Any:
        nonlocal loads
        loads += 1
        if loads == 2:
            tensors = load_file(folder / TENSORS)
            save_file({name: 2 * tensor for name, tensor in tensors.items()}, folder / TENSORS, metadata={})
        return whole(asked)

    monkeypatch.setattr(fitting, "base_of", base_of)
    with pytest.raises(RunError, match="gives other logits than the adapter"):
        prove(who(world, folder))


def test_nothing_to_compare_on_is_an_error(world: World, tmp_path: Path) -> None:
    folder = by_peft(world.model, tmp_path / "theirs")
    with pytest.raises(UsageError, match="no text to compare"):
        prove_fit(who(world, folder), (), lambda event: None, start=start_in_process)
    with pytest.raises(UsageError, match="no adapter"):
        prove(replace(who(world, folder), kept=None))


def test_it_runs_in_a_process_of_its_own(world: World, tmp_path: Path) -> None:
    """As the job's name and module are registered."""
    folder = by_peft(world.model, tmp_path / "theirs")
    asked = who(world, folder)
    _, proof = prove_fit(asked, texts_for(asked, registry()), lambda event: None)
    assert proof.effect > 0.01
