"""What the ``unsloth`` backend says of itself and refuses: without Unsloth."""

from __future__ import annotations

import json
import os
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from graftlm.api import RunError
from graftlm.contracts.model import FamilyFacts, ModelShape
from graftlm.contracts.situation import Probe, Situation
from graftlm_plugins.backends import unsloth
from graftlm_plugins.backends.unsloth_limits import check, notes, supports
from graftlm_plugins.methods.lora import OPTIONS
from graftlm_registry.models import catalogue

SET = ("UNSLOTH_DISABLE_STATISTICS", "HF_HUB_OFFLINE", "UNSLOTH_COMPILE_LOCATION", "UNSLOTH_FORCE_CPU",
       "UNSLOTH_DISABLE_CPU_FALLBACK")  # fmt: skip


def facts(experts: int = 0, **more: Any) -> FamilyFacts:
    shape = ModelShape(
        hidden=64, layers=2, vocabulary=64, context=1024, heads=4, kv_heads=2, head_dim=16, intermediate=96,
        linear=(), tied=False, experts=experts,
    )  # fmt: skip
    return FamilyFacts(attention=("q_proj",), mlp=("up_proj",), shape=shape, **more)


def situation(model_type: str = "mistral", options: dict[str, Any] | None = None, **fields: Any) -> Situation:
    lora = {option.name: option.default for option in OPTIONS} | (options or {})
    probe = Probe(python="3.11", versions={}, devices=())
    given = {"device": "cuda", "dtype": "bf16", "facts": facts(), **fields}
    return Situation(config={"model_type": model_type}, probe=probe, method_options=lora, **given)


def quantized(**fields: Any) -> Situation:
    return situation(**{"quantization": "nf4", "quantization_bits": 4.1, **fields})


def plan(tmp_path: Path, config: dict[str, Any] | None = None, **fields: Any) -> Any:
    (tmp_path / "config.json").write_text(json.dumps(config or {}), encoding="utf-8")
    usual = {
        "device": "cuda", "rope": None, "attention": "sdpa", "max_length": 512, "targets": ("q_proj",), "parts": (),
        "model_type": "qwen2", **fields,
    }  # fmt: skip
    return SimpleNamespace(
        device=usual["device"],
        load=SimpleNamespace(rope=usual["rope"], attention=usual["attention"]),
        method=SimpleNamespace(target_modules=usual["targets"]),
        encoding=SimpleNamespace(max_length=usual["max_length"]),
        model=SimpleNamespace(facts=facts(), model_type=usual["model_type"], folder=str(tmp_path)),
        all_parts=lambda kind: [SimpleNamespace(name=name) for name in usual["parts"]],
    )


def only(reasons: Sequence[str]) -> str:
    (reason,) = reasons
    return reason


class TestSpec:
    def test_the_environment_resolves_without_what_cannot_be_had(self) -> None:
        """The packages whose pins go are named, so that pip's copies of them can be rewritten."""
        (spec,) = unsloth.graftlm_backends()
        assert {"unsloth==2026.10.9", "unsloth_zoo==2026.10.9"} <= set(spec.environment.requirements)
        never = {line.partition(";")[0] for line in spec.environment.overrides if line.endswith('python_version < "0"')}
        assert {"torchvision", "triton"} <= never
        assert "certifi>=2024" in spec.environment.overrides
        assert spec.requires == ()  # nothing of it has to be in the base environment

    def test_nobody_is_told_that_it_runs(self) -> None:
        (spec,) = unsloth.graftlm_backends()
        assert spec.environment.variables["UNSLOTH_DISABLE_STATISTICS"] == "1"


class TestSupports:
    @pytest.mark.parametrize("method", ["lora", "rslora", "dora"])
    @pytest.mark.parametrize("device", ["cpu", "cuda"])
    def test_it_trains_lora_in_its_plain_forms(self, method: str, device: str) -> None:
        options = {"use_rslora": method == "rslora", "use_dora": method == "dora", "init_lora_weights": "gaussian",
                   "rank_pattern": {"q_proj": 4}, "layers_to_transform": (0, 1)}  # fmt: skip
        assert supports(situation(method=method, options=options, device=device)) == []

    @pytest.mark.parametrize(
        ("asked", "says"),
        [
            ({"method": "full", "method_keeps": "overlay"}, "and not full"),
            ({"method": "adalora"}, "and not adalora"),
            ({"options": {"init_lora_weights": "pissa"}}, "init_lora_weights=pissa needs more of the base"),
            ({"options": {"init_lora_weights": "mica"}}, "init_lora_weights=mica"),
            ({"options": {"modules_to_save": ("lm_head",)}}, "option modules_to_save"),
            ({"options": {"bias": "all"}}, "option bias"),
            ({"options": {"lora_bias": True}}, "option lora_bias"),
            ({"options": {"trainable_token_indices": (3,)}}, "option trainable_token_indices"),
            ({"device": "mps"}, "not on mps"),
            ({"device": "cpu", "dtype": "fp16"}, "instead of fp16 in silence"),
            ({"trust_remote_code": True}, "brings its own code"),
            ({"facts": facts(remote_code=True)}, "brings its own code"),
            ({"facts": facts(experts=10)}, "fused experts"),
        ],
    )
    def test_it_refuses_what_it_would_get_wrong(self, asked: dict[str, Any], says: str) -> None:
        (reason,) = supports(situation(**asked))
        assert says in reason

    def test_experts_are_plain_on_a_cpu(self) -> None:
        assert supports(situation(facts=facts(experts=10), device="cpu")) == []

    def test_only_the_nf4_that_it_makes_itself_is_nf4(self) -> None:
        assert supports(quantized()) == []
        assert supports(quantized(quantization_options={"double_quant": True, "compute_dtype": "bf16"})) == []
        for changed, says in (
            ({"device": "cpu"}, "falls back from 4 and 8 bits to 16"),
            ({"quantization": "fp4"}, "has none for fp4"),
            ({"quantization": "int8", "quantization_bits": 8.0}, "has none for int8"),
            ({"quantization_options": {"double_quant": False}}, "double_quant=false"),
            ({"quantization_options": {"compute_dtype": "fp32"}}, "leave out quantization.compute_dtype"),
            ({"facts": facts(linear_classes=("modeling_falcon:FalconLinear",))}, "leaves FalconLinear in 16 bits"),
        ):
            (reason,) = supports(quantized(**changed))
            assert says in reason


class TestNotes:
    def test_a_cpu_has_none_of_its_kernels(self) -> None:
        assert "transformers' mistral and PEFT, with its loss in chunks" in notes(situation(device="cpu"))[0]
        assert "with transformers' loss" in notes(situation("falcon", device="cpu"))[0]

    def test_a_family_without_kernels_is_named(self) -> None:
        assert "no forward of its own for glm4" in notes(situation("glm4"))[0]
        assert notes(situation("qwen3")) == []

    def test_what_switches_the_fused_lora_off_is_said(self) -> None:
        assert "want 16-bit weights" in notes(situation(dtype="fp32"))[0]
        assert "know no DoRA" in notes(situation(options={"use_dora": True}))[0]


class TestRefusal:
    def test_a_plain_plan_runs(self, tmp_path: Path) -> None:
        assert check(plan(tmp_path)) == []
        assert check(plan(tmp_path, device="cpu", attention="eager")) == []

    def test_the_positions_stay_the_model_s(self, tmp_path: Path) -> None:
        assert "linear by 2" in only(check(plan(tmp_path, rope="linear by 2")))
        assert "stretch RoPE beyond the model's 1,024 positions" in only(check(plan(tmp_path, max_length=2048)))
        assert check(plan(tmp_path, max_length=1024)) == []

    def test_a_window_that_its_kernels_forget_must_not_matter(self, tmp_path: Path) -> None:
        window = {"use_sliding_window": True, "sliding_window": 256}
        assert "forgets the sliding window of 256" in only(check(plan(tmp_path, window)))
        assert check(plan(tmp_path, window, max_length=256)) == []
        assert check(plan(tmp_path, window, device="cpu")) == []
        assert check(plan(tmp_path, {**window, "use_sliding_window": False})) == []
        assert check(plan(tmp_path, window, model_type="mistral")) == []  # it keeps that one's

    def test_it_chooses_its_kernels_itself(self, tmp_path: Path) -> None:
        assert "leave out --accelerator liger" in only(check(plan(tmp_path, parts=("sdpa", "liger"))))
        assert "leave out --accelerator flex_attention" in only(check(plan(tmp_path, attention="flex_attention")))
        assert "leave eager out" in only(check(plan(tmp_path, attention="eager")))
        assert check(plan(tmp_path, attention="eager", model_type="glm4")) == []

    def test_the_head_is_not_trained_whole(self, tmp_path: Path) -> None:
        assert "train lm_head whole" in only(check(plan(tmp_path, targets=("q_proj", "lm_head"))))


class TestPrepare:
    @pytest.fixture(autouse=True)
    def _around(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in SET:
            monkeypatch.setenv(name, "before")
            monkeypatch.delenv(name)

    def test_unsloth_is_set_up_before_it_is_imported(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: dict[str, str] = {}

        class Finder:
            @staticmethod
            def find_spec(name: str, *rest: Any) -> None:
                if name == "unsloth":
                    seen.update(os.environ)
                    raise ModuleNotFoundError(name)

        monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
        with pytest.raises(ModuleNotFoundError, match="unsloth"):
            unsloth.UnslothTrainer().prepare(plan(tmp_path, device="cpu"), tmp_path)
        assert seen["UNSLOTH_FORCE_CPU"] == seen["UNSLOTH_DISABLE_STATISTICS"] == seen["HF_HUB_OFFLINE"] == "1"
        assert Path(seen["UNSLOTH_COMPILE_LOCATION"]).parent == tmp_path
        assert "UNSLOTH_DISABLE_CPU_FALLBACK" not in seen

    def test_a_gpu_that_is_gone_is_no_cpu(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "unsloth", types.ModuleType("unsloth"))
        unsloth.UnslothTrainer().prepare(plan(tmp_path), tmp_path)
        assert os.environ["UNSLOTH_DISABLE_CPU_FALLBACK"] == "1"
        assert "UNSLOTH_FORCE_CPU" not in os.environ

    def test_the_plan_says_what_cannot_run(self, tmp_path: Path) -> None:
        (spec,) = unsloth.graftlm_backends()
        assert spec.check is not None
        assert "RoPE yarn by 4" in spec.check(plan(tmp_path, rope="yarn by 4"))[0]
        assert not spec.check(plan(tmp_path))


class TestModel:
    @pytest.mark.parametrize(("padding", "ours"), [(0, 1), (None, 0), (7, 0)])
    def test_its_tokenizer_has_a_padding_token_that_is_not_the_model_s(
        self, tmp_path: Path, padding: int | None, ours: int
    ) -> None:
        """Else Unsloth grows the base's embeddings, or zeroes one of them."""
        from transformers import AutoTokenizer

        (tmp_path / "config.json").write_text(json.dumps({"pad_token_id": padding}), encoding="utf-8")
        context: Any = SimpleNamespace(folder=tmp_path, scratch=tmp_path)
        tokenizer = AutoTokenizer.from_pretrained(unsloth._tokenizer(context))
        assert tokenizer.pad_token_id == ours
        assert tokenizer.eos_token_id not in (None, ours)

    def test_a_base_that_grew_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text(json.dumps({"vocab_size": 608}), encoding="utf-8")
        context: Any = SimpleNamespace(folder=tmp_path, device="cpu")

        def model(rows: int) -> Any:
            embeddings = torch.nn.Embedding(rows, 2)
            return SimpleNamespace(get_input_embeddings=lambda: embeddings, config=SimpleNamespace())

        unsloth._check(model(608), context)
        with pytest.raises(RunError, match="609 embeddings of the base's 608"):
            unsloth._check(model(609), context)

    @pytest.mark.parametrize("name", ["tiny-mistral", "tiny-qwen", "tiny-glm", "tiny-falcon"])
    def test_rotary_frequencies_that_nobody_computed_are_seen(self, name: str) -> None:
        from transformers import AutoConfig, AutoModelForCausalLM

        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(catalogue().entry(name).folder))
        unsloth._check_rotary(model)
        (frequencies,) = (b for path, b in model.named_buffers() if path.endswith(".inv_freq"))
        frequencies[3] *= 1.1
        with pytest.raises(RunError, match=r"rotary frequencies of .*inv_freq unset"):
            unsloth._check_rotary(model)

    def test_its_errors_are_one_sentence_and_ours_stay(self) -> None:
        for given, says in (
            (
                NotImplementedError("Unsloth: no such model!\nRead more on our page"),
                "adapter: Unsloth: no such model!$",
            ),
            (ImportError(), "adapter: ImportError$"),
            (RunError("the plan says otherwise"), "^the plan says otherwise$"),
        ):
            with pytest.raises(RunError, match=says), unsloth._said():
                raise given
        with pytest.raises(torch.OutOfMemoryError), unsloth._said():
            raise torch.OutOfMemoryError

    def test_the_loss_is_named_by_what_computes_it(self) -> None:
        class Own:
            def forward(self) -> None: ...

        class Plain(Own):
            def forward(self) -> None: ...

        Plain.forward.__module__ = "transformers.models.falcon.modeling_falcon"

        def path(kind: type, device: str = "cuda", chunked: bool = False) -> str:
            return unsloth._loss_path(SimpleNamespace(get_base_model=kind), device, chunked)

        assert "fused with the head" in path(Own)
        assert "on all logits" in path(Plain)
        assert "in chunks" in path(Plain, "cpu", chunked=True)
        assert "transformers'" in path(Plain, "cpu")

    def test_a_loss_in_chunks_is_on_for_a_forward_pass_alone(self) -> None:
        model = torch.nn.Linear(2, 2)
        seen = []

        def fail() -> None:
            seen.append(model._unsloth_cpu_chunked_ce_active)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError), unsloth._in_chunks([model]):
            fail()
        assert seen == [True]
        assert not model._unsloth_cpu_chunked_ce_active
