"""What the plan says of FlashAttention: where it runs, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_models import configuration, small_model

from graftlm.contracts.config import RunConfig
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import to_json
from graftlm.contracts.situation import Device, Probe
from graftlm.environments.probing import signature
from graftlm.planning import requirements
from graftlm.planning.resolve import resolve
from graftlm_registry.plugins import registry

H100 = Device(type="cuda", name="NVIDIA H100", memory=80 << 30, compute_capability=(9, 0))
CPU = Device(type="cpu", name="8 cores", memory=64 << 30)
INSTALLED = {"flash-attn": "2.8.3", "flash-attn-3": "3.0.0"}
Planned = Callable[..., Plan]


@pytest.fixture
def planned(alpaca: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Planned:
    """Plans of a machine with ``device`` and the packages."""
    known = requirements.installed_version
    monkeypatch.setattr(requirements, "installed_version", lambda name: INSTALLED.get(name) or known(name))
    probes = home / "probes"
    probes.unlink()
    probes.mkdir()

    def plan(gpu: Device | None = H100, **settings: Any) -> Plan:
        devices = (gpu, CPU) if gpu else (CPU,)
        probe = Probe(python="3.11.0", versions=INSTALLED, devices=devices, dtypes=("fp32", "bf16", "fp16"))
        (probes / f"{signature()}.json").write_bytes(to_json(probe))
        given = {"model": "tiny-mistral", "dtype": "bf16", **settings}
        return resolve(RunConfig(data=str(alpaca), **given), registry())

    return plan


def saying(model: Path, changes: Mapping[str, Any]) -> Path:
    """The model with another config.json, which is all that a plan reads of it."""
    (model / "config.json").write_text(json.dumps({**configuration(model), **changes}), encoding="utf-8")
    return model


class TestPlan:
    def test_the_preset_is_the_backend_with_the_accelerator(self, planned: Planned) -> None:
        preset, spelt = planned(backend="flash-attn"), planned(backend="peft", accelerator="flash-attn")
        assert preset.problems == spelt.problems == ()
        assert preset.hash == spelt.hash != planned(backend="peft").hash
        assert (preset.load.attention, preset.training.packing) == ("flash_attention_2", True)
        assert [(p.name, p.why) for p in preset.parts if p.kind in ("backend", "accelerator")] == [
            ("peft", "preset flash-attn"), ("flash-attn", "preset flash-attn"),
        ]  # fmt: skip

    def test_where_it_runs(self, planned: Planned) -> None:
        assert planned(accelerator="flash-attn", backend="trainer").problems == ()
        assert planned(accelerator="flash-attn", dtype="fp16").problems == ()
        assert planned(accelerator="flash-attn", model="tiny-falcon").problems == ()
        assert planned(accelerator="flash-attn-3").problems == ()

    @pytest.mark.parametrize(
        ("settings", "says"),
        [
            ({"dtype": "fp32"}, ("computes in bf16 and fp16, not in fp32", "--dtype bf16")),
            ({"gpu": None}, ("needs a cuda device",)),
            ({"device": "cpu"}, ("computes on a GPU, and the run is on cpu", "--device cuda")),
            ({"gpu": replace(H100, compute_capability=(7, 5))}, ("needs compute capability 8.0",)),
            ({"accelerator": "flash-attn+sdpa"}, ("both claim 'attention'",)),
            ({"accelerator": "flash-attn-3", "gpu": replace(H100, compute_capability=(8, 0))},
             ("needs compute capability 9.0",)),
            ({"accelerator": "flash-attn-3", "gpu": replace(H100, compute_capability=(12, 0))},
             ("compute capability 9.0 alone", "12.0", "--accelerator flash-attn")),
        ],
        ids=str,
    )  # fmt: skip
    def test_what_cannot_be_is_refused(self, planned: Planned, settings: dict[str, Any], says: Sequence[str]) -> None:
        accelerator = planned(**{"accelerator": "flash-attn", **settings}).part("accelerator")
        assert accelerator.problems
        for words in says:
            assert sum(words in problem for problem in accelerator.problems) == 1, accelerator.problems

    @pytest.mark.parametrize(
        ("name", "changes", "says"),
        [
            ("falcon-rw", {}, ("has only sdpa attention", "--accelerator sdpa")),
            ("falcon_h1", {}, ("packed samples would see each other",)),
            ("qwen3_next", {}, ("packed samples would see each other",)),
            ("mistral", {"head_dim": 320}, ("heads of up to 256", "320")),
        ],
    )
    def test_models_that_it_cannot_take(
        self, planned: Planned, tmp_path: Path, name: str, changes: dict[str, Any], says: Sequence[str]
    ) -> None:
        plan = planned(model=str(saying(small_model(name, tmp_path), changes)), accelerator="flash-attn")
        (problem,) = plan.part("accelerator").problems
        for words in says:
            assert words in problem

    def test_the_third_release_has_neither_dropout_nor_odd_heads(self, planned: Planned, tmp_path: Path) -> None:
        model = str(saying(small_model("mistral", tmp_path), {"head_dim": 20, "attention_dropout": 0.1}))
        assert planned(model=model, accelerator="flash-attn").problems == ()
        size, dropout = planned(model=model, accelerator="flash-attn-3").part("accelerator").problems
        assert "heads of a multiple of 8, and those of this model have 20" in size
        assert "attention_dropout 0.1" in dropout

    def test_an_older_package_is_refused_with_the_line_that_mends_it(
        self, planned: Planned, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(INSTALLED, "flash-attn", "2.7.4.post1")
        (problem,) = planned(backend="flash-attn").problems
        assert "needs flash-attn >=2.8, and 2.7.4.post1 is installed" in problem
        assert "run: pip install --no-build-isolation 'flash-attn>=2.8'" in problem

    def test_the_third_release_is_built_by_oneself(self, planned: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
        """No line of pip's brings it, and a name that nobody has registered must not be offered to pip."""
        monkeypatch.delitem(INSTALLED, "flash-attn-3")
        (problem,) = planned(accelerator="flash-attn-3").problems
        assert "build it from the folder hopper" in problem
        assert "pip install" not in problem


def test_the_front_imports_no_flash_attention(run: Callable[..., Any]) -> None:
    said = run("plugins", "list", "--json")
    assert said.code == 0, said.err
    listed = {(p["kind"], p["name"]) for p in json.loads(said.out)["plugins"]}
    assert {("accelerator", "flash-attn"), ("accelerator", "flash-attn-3"), ("backend", "flash-attn")} <= listed
