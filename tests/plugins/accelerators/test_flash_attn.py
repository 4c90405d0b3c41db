"""FlashAttention up to its kernel, for which torch stands in here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from flash_stand_in import HALF, Kernel, pretend, put_in_place, registered
from small_models import ARCHITECTURES, small_model

from graftlm.api import Accelerator
from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import ModelError, RunError
from graftlm.contracts.load import LoadPlan
from graftlm.contracts.specs import ModelFamily
from graftlm.encoding.rows import EncodedRows
from graftlm.planning.resolve import resolve
from graftlm.running.train import Trained, carry_out
from graftlm.testing.in_process import start_in_process
from graftlm.testing.tiny_models import build
from graftlm.worker.batches import collate_packed
from graftlm.worker.load import load_base
from graftlm_plugins.accelerators.flash_attn import Package
from graftlm_registry.plugins import registry

LENGTHS = (5, 9, 2, 1, 7)
BORDERS = [0, 5, 14, 16, 17, 24]
SHARP = {"vocab_size": 64, "initializer_range": 0.2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
"""Weights so large that attention matters to the logits."""
MINISTRAL_3 = {
    "rope_type": "default", "rope_theta": 1e4, "llama_4_scaling_beta": 0.1, "original_max_position_embeddings": 64,
}  # fmt: skip


def configs() -> dict[str, dict[str, Any]]:
    known = {name: {"model_type": kind, **SHARP, **config} for name, (_, kind, config) in ARCHITECTURES.items()}
    mistral, qwen = known["mistral"], known["qwen2"]
    windows = {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1}
    return {
        **known,
        "mistral-windows": {**mistral, "sliding_window": 4},
        "qwen2-windows": {**qwen, **windows},
        "ministral": {**mistral, "model_type": "ministral"},
        "ministral3": {**mistral, "model_type": "ministral3", "rope_parameters": MINISTRAL_3},
    }


CONFIGS = configs()


def facts_of(config: Mapping[str, Any]) -> Any:
    family = next(f for f in registry().all(ModelFamily) if config["model_type"] in f.model_types)
    return family.facts(config)


def exact() -> list[str]:
    """Architectures whose facts claim that packing is exact with it."""
    return [name for name, config in CONFIGS.items() if "flash_attention_2" in facts_of(config).packing]


def packed_rows() -> EncodedRows:
    import numpy as np

    ids = np.concatenate([np.arange(3, 3 + n) for n in LENGTHS]).astype(np.int32)
    return EncodedRows(ids, ids.copy(), np.cumsum([0, *LENGTHS]), np.arange(len(LENGTHS)))


def alone_and_packed(config: Mapping[str, Any], attention: str, dtype: torch.dtype) -> tuple[Any, Any]:
    """Logits of the samples one by one with sdpa, and in one row; each ``[tokens, vocabulary]``."""
    rows = packed_rows()
    plain, flash = (build(config, kind).to(dtype) for kind in ("sdpa", attention))
    assert flash.config._attn_implementation == attention
    with torch.inference_mode():
        ids = (torch.from_numpy(rows.row(i)[0].astype("int64"))[None] for i in range(len(rows)))
        alone = torch.cat([plain(input_ids=one, use_cache=False).logits[0] for one in ids])
        packed = flash(**collate_packed(rows, range(len(rows))).inputs("cpu")).logits[0]
    return alone.float(), packed.float()


class TestUpToTheKernel:
    def test_every_family_is_asked(self) -> None:
        assert set(CONFIGS) - set(exact()) == {"falcon-rw", "falcon_h1", "qwen3_next"}

    @pytest.mark.parametrize("name", exact())
    def test_packed_samples_have_the_logits_of_each_alone(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        kernel = Kernel(dtypes=(torch.float32,))
        put_in_place(monkeypatch, kernel)
        alone, packed = alone_and_packed(CONFIGS[name], "flash_attention_2", torch.float32)
        assert alone.abs().max() > 0.5
        assert (alone - packed).abs().max() < 1e-5 * alone.abs().max()
        assert kernel.borders == [BORDERS] * 2  # once a layer, and never without borders
        assert set(kernel.longest) == {max(LENGTHS)}

    @pytest.mark.parametrize("name", exact())
    @pytest.mark.parametrize("dtype", HALF, ids=str)
    def test_halves_reach_it_as_halves(self, name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
        kernel = Kernel()  # refuses anything else
        put_in_place(monkeypatch, kernel)
        alone, packed = alone_and_packed(CONFIGS[name], "flash_attention_2", dtype)
        assert kernel.borders == [BORDERS] * 2
        if "moe" not in name and name != "mixtral":  # a router that rounds otherwise chooses another expert
            assert (alone - packed).abs().max() < 0.1 * alone.abs().max()

    @pytest.mark.parametrize("name", ["qwen3_next", "falcon_h1"])
    def test_what_mixes_tokens_otherwise_is_not_exact(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        put_in_place(monkeypatch, Kernel(dtypes=(torch.float32,)))
        alone, packed = alone_and_packed(CONFIGS[name], "flash_attention_2", torch.float32)
        assert (alone - packed).abs().max() > 1e-3

    def test_a_mask_would_hide_the_borders(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Why packed batches have none."""
        kernel = Kernel(dtypes=(torch.float32,))
        put_in_place(monkeypatch, kernel)
        given = collate_packed(packed_rows(), range(len(LENGTHS))).inputs("cpu")
        mask = torch.ones_like(given["input_ids"])
        mask[0, -1] = 0
        with torch.inference_mode():
            build(CONFIGS["mistral"], "flash_attention_2")(**given, attention_mask=mask)
        assert kernel.borders == [[0, sum(LENGTHS) - 1]] * 2

    def test_gradients_are_those_of_the_samples_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        put_in_place(monkeypatch, Kernel(dtypes=(torch.float32,)))
        rows = packed_rows()
        plain, flash = (build(CONFIGS["glm4"], kind).train() for kind in ("sdpa", "flash_attention_2"))
        for i in range(len(rows)):
            if rows.trained(i):
                ids = torch.from_numpy(rows.row(i)[0].astype("int64"))[None]
                plain(input_ids=ids, labels=ids, num_items_in_batch=1, use_cache=False).loss.backward()
        batch = collate_packed(rows, range(len(rows)))
        flash(**batch.inputs("cpu"), labels=batch.labels, num_items_in_batch=1).loss.backward()
        for (name, one), other in zip(plain.named_parameters(), flash.parameters(), strict=True):
            assert torch.allclose(one.grad, other.grad, rtol=1e-4, atol=1e-5), name

    @pytest.mark.parametrize("name", ["mistral-windows", "glm", "falcon-7b"])
    def test_the_third_release_takes_the_same_path(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        kernel = Kernel(dtypes=(torch.float32,))
        put_in_place(monkeypatch, kernel, version=3)
        alone, packed = alone_and_packed(CONFIGS[name], "flash_attention_3", torch.float32)
        assert (alone - packed).abs().max() < 1e-5 * alone.abs().max()
        assert kernel.borders == [BORDERS] * 2


LAYERS = 2
"""At least, in the built-in models."""
HERE = Accelerator(
    name="flash-here", summary="flash-attn without its requirements", claims=("attention",),
    attention="flash_attention_2", packs=True,
    patches={"load": "graftlm_plugins.accelerators.flash_attn:Package"},
)  # fmt: skip


def trained(data: Path, **settings: Any) -> Trained:
    asked: dict[str, Any] = {
        "model": "tiny-mistral", "max_steps": 4, "batch_size": 8, "micro_batch": 4, "learning_rate": 3e-3,
        "dtype": "bf16", "device": "cpu", "retention": False, "val_split": 0.2, "test_split": 0.1, "seed": 3,
        "accelerator": "flash-here", **settings,
    }  # fmt: skip
    plan = resolve(RunConfig(data=str(data), **asked), registry())
    return carry_out(plan, registry(), lambda event: None, start=start_in_process)


class TestInTheWorker:
    """Whole runs: training, validation, proof and scoring all call the kernel, which takes halves alone."""

    @pytest.fixture(autouse=True)
    def _kernel(self, alpaca: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kernel = Kernel()
        put_in_place(monkeypatch, self.kernel)
        registered(monkeypatch, HERE)

    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"dtype": "fp16"},
            {"backend": "trainer"},
            {"method": "full", "learning_rate": 1e-3},
            {"method": "dora", "gradient_checkpointing": True},
            {"model": "tiny-falcon"},
            {"model": "tiny-glm", "backend": "trainer", "method": "freeze"},
        ],
        ids=str,
    )
    def test_a_run_is_packed_from_end_to_end(self, alpaca: Path, settings: dict[str, Any]) -> None:
        outcome = trained(alpaca, **settings).outcome
        found = outcome.effective
        assert (found.attention, found.packing) == ("flash_attention_2", True)
        assert found.dtype == settings.get("dtype", "bf16")
        packed = [borders for borders in self.kernel.borders if len(borders) == 5]  # four samples
        assert len(packed) >= 4 * 2 * LAYERS  # steps, micro-batches, layers
        plain = trained(alpaca, **{**settings, "accelerator": "sdpa"}).outcome
        assert outcome.losses == pytest.approx(plain.losses, abs=0.05)
        assert [v for _, v in outcome.validation] == pytest.approx([v for _, v in plain.validation], abs=0.05)


class TestAnotherKernel:
    """transformers takes a kernel of the network where it does not find the package, and says so in a warning."""

    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What transformers asked for, as if ``kernels`` were installed and had brought it."""
        from transformers import modeling_utils

        asked: list[str] = []

        def load(implementation: str, *arguments: Any, **named: Any) -> None:
            asked.append(implementation)

        pretend(monkeypatch, 2, available=False)
        monkeypatch.setattr(modeling_utils, "is_kernels_available", lambda *_: True)
        monkeypatch.setattr(modeling_utils, "lazy_import_flash_attention", load)
        return asked

    def test_a_base_that_came_with_it_is_refused(self, asked: list[str], tmp_path: Path) -> None:
        load = LoadPlan(name="m", dtype="bf16", attention="flash_attention_2")
        says = "the plan says flash_attention_2 attention, and kernels-community/flash-attn2 was loaded"
        with pytest.raises(RunError, match=says):
            load_base(load, small_model("mistral", tmp_path), "cpu")
        assert set(asked) == {"kernels-community/flash-attn2"}

    def test_a_run_stops_before_it_is_asked_for(
        self, asked: list[str], alpaca: Path, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        registered(monkeypatch, HERE)
        with pytest.raises(RunError, match="transformers does not take the installed flash_attn"):
            trained(alpaca)
        assert asked == []

    def test_without_either_transformers_says_what_is_missing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pretend(monkeypatch, 2, available=False)
        load = LoadPlan(name="m", dtype="bf16", attention="flash_attention_2")
        with pytest.raises(ModelError, match="FlashAttention2"):
            load_base(load, small_model("mistral", tmp_path), "cpu")


def test_a_package_for_another_torch_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import graftlm_plugins.accelerators.flash_attn as plugin

    def broken(name: str) -> Any:
        raise ImportError(f"{name}_2_cuda.so: undefined symbol: _ZN3c10\nmore")

    pretend(monkeypatch, 2, available=True)
    monkeypatch.setattr(plugin, "import_module", broken)
    context: Any = SimpleNamespace(
        plan=SimpleNamespace(load=SimpleNamespace(attention="flash_attention_2")), happened={}
    )
    with pytest.raises(RunError, match=r"flash_attn cannot be imported: .*undefined symbol: _ZN3c10 \(build"):
        Package(context).__enter__()
