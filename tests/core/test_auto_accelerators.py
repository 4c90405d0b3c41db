"""``--accelerator auto`` takes what is sound, and the plan says why."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from small_models import ARCHITECTURES, configuration, small_model

from graftlm.contracts.config import RunConfig
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import to_json
from graftlm.contracts.situation import Device, Probe
from graftlm.environments.probing import signature
from graftlm.planning import requirements
from graftlm.planning.resolve import resolve
from graftlm_registry.plugins import registry

EVERY = ["varlen", "fused-lora", "supervised-logits"]
NO_GPU = "flash-attn-3, flash-attn, flex (needs a cuda device, and this machine has only cpu)"
BUILT = {"triton": "3.7", "flash-attn": "2.8.3", "flash-attn-3": "3.0.0"}
H100, A100 = (9, 0), (8, 0)
MIXING = "packed samples would see each other in this architecture"
IN_PLACE = "is taken in its place"
HOPPER = "needs compute capability 9.0, which no device here has"
PACKED = ("mistral", "llama", "mixtral", "qwen2", "qwen3", "qwen2_moe", "qwen3_moe", "glm", "glm4", "glm4_moe")
HYBRID = ("qwen3_next", "falcon_h1")
ROTARY = ("falcon-7b", "falcon-40b")


@pytest.fixture
def data(home: Path, tmp_path: Path) -> str:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"input": f"Say {i}", "output": str(i)}) + "\n" for i in range(20)))
    return str(path)


def plan_of(data: str, **asked: Any) -> Plan:
    return resolve(RunConfig(**{"data": data, "model": "tiny-mistral", "device": "cpu", **asked}), registry())


def chosen(plan: Plan) -> list[str]:
    return [part.name for part in plan.all_parts("accelerator")]


def left_out(plan: Plan) -> str:
    return next((note for note in plan.notes if note.startswith("accelerator auto leaves out ")), "")


def test_it_is_the_default_and_takes_all_that_is_sound(data: str) -> None:
    plan = plan_of(data)
    assert chosen(plan) == EVERY
    assert plan.training.packing
    assert plan.problems == ()
    assert left_out(plan) == f"accelerator auto leaves out {NO_GPU}"
    assert all(part.why.startswith("auto: ") for part in plan.all_parts("accelerator"))


def test_the_same_asked_for_by_name_is_the_same_work(data: str) -> None:
    assert plan_of(data, accelerator="+".join(EVERY)).hash == plan_of(data).hash


@pytest.mark.parametrize(
    ("asked", "taken", "reason"),
    [
        ({"model": "tiny-falcon"}, ["fused-lora", "supervised-logits", "sdpa"], "varlen (packed samples would see"),
        ({"dropout": 0.1}, ["varlen", "supervised-logits"], "fused-lora (knows no dropout, and --dropout is 0.1"),
        ({"quantization": "nf4"}, ["varlen", "supervised-logits"], "fused-lora (multiplies with the weights"),
        ({"method": "full"}, ["varlen", "supervised-logits"], "fused-lora (is LoRA's, and the method is full"),
        ({"options": {"method": {"bias": "all"}}}, ["varlen", "supervised-logits"], "fused-lora (trains no biases"),
        (
            {"options": {"method": {"init_lora_weights": "pissa"}}},
            ["varlen", "supervised-logits"],
            "fused-lora (knows one adapter a layer",
        ),
        (
            {"options": {"method": {"use_dora": "true"}}},
            ["varlen", "supervised-logits"],
            "fused-lora (computes plain LoRA, and use_dora",
        ),
    ],
)
def test_what_is_not_sound_is_left_out_for_its_reason(
    data: str, asked: dict[str, Any], taken: list[str], reason: str
) -> None:
    plan = plan_of(data, **asked)
    assert chosen(plan) == taken
    assert reason in left_out(plan)
    assert plan.problems == ()


def test_a_baseline_stays_as_it_is(data: str) -> None:
    plan = plan_of(data, backend="trainer")
    assert (chosen(plan), plan.training.packing, left_out(plan)) == (["sdpa"], False, "")


def test_what_brings_a_loss_is_refused_where_the_backend_has_its_own(data: str) -> None:
    plan = plan_of(data, backend="trainer", accelerator="supervised-logits")
    assert plan.problems == ("accelerator supervised-logits: computes the loss, which backend trainer does itself",)


def test_a_preset_is_not_added_to(data: str) -> None:
    assert chosen(plan_of(data, backend="flash-attn")) == ["flash-attn"]


@pytest.fixture
def machine(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Plans are of a machine with a GPU of this compute capability, and these packages."""
    known = requirements.installed_version

    def stand_in(capability: tuple[int, int], installed: Mapping[str, str]) -> None:
        monkeypatch.setattr(requirements, "installed_version", lambda name: installed.get(name) or known(name))
        gpu = Device(type="cuda", name="a GPU", memory=80 << 30, compute_capability=capability)
        devices = (gpu, Device(type="cpu", name="8 cores", memory=64 << 30))
        probe = Probe(python="3.11.0", versions=installed, devices=devices, dtypes=("fp32", "bf16", "fp16"))
        probes = home / "probes"
        probes.unlink()
        probes.mkdir()
        (probes / f"{signature()}.json").write_bytes(to_json(probe))

    return stand_in


def reasons(plan: Plan) -> dict[str, str]:
    """Why each accelerator was left out, as the note says it."""
    said = left_out(plan).removeprefix("accelerator auto leaves out ")
    pairs = re.findall(r"([a-z0-9, -]+) \(((?:[^()]|\([^()]*\))*)\)(?:; |$)", said)
    return {name: reason for names, reason in pairs for name in names.split(", ")}


def check(plan: Plan, taken: Sequence[str], left: Mapping[str, str]) -> None:
    assert chosen(plan) == list(taken)
    assert plan.problems == ()
    found = reasons(plan)
    assert found.keys() == left.keys()
    for name, reason in left.items():
        assert reason in found[name], name


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_on_a_cpu_every_architecture_has_what_is_sound_for_it(data: str, tmp_path: Path, name: str) -> None:
    plan = plan_of(data, model=str(small_model(name, tmp_path)))
    no_gpu = dict.fromkeys(("flash-attn-3", "flash-attn", "flex"), "needs a cuda device")
    if name in PACKED:
        check(plan, EVERY, no_gpu)
    else:
        check(plan, ["fused-lora", "supervised-logits", "sdpa"], {**no_gpu, "varlen": MIXING})


def expected(name: str) -> tuple[Sequence[str], Mapping[str, str]]:
    """On an H100 in bf16 with everything built: FlashAttention 3 where it keeps samples apart, else sdpa."""
    flash = ["flash-attn-3", "fused-lora", "supervised-logits"]
    plain = ["fused-lora", "supervised-logits", "sdpa"]
    no_flex = {"flex": "this architecture has only eager, sdpa"}
    if name in PACKED:
        return flash, dict.fromkeys(("varlen", "flash-attn", "flex"), f"flash-attn-3 {IN_PLACE}")
    if name in ROTARY:
        return flash, {"varlen": MIXING, "flash-attn": f"flash-attn-3 {IN_PLACE}", **no_flex}
    if name in HYBRID:
        return plain, {**dict.fromkeys(("flash-attn-3", "varlen", "flash-attn"), MIXING), **no_flex}
    only = f"this architecture has only {'sdpa' if name == 'falcon-rw' else 'eager, sdpa'} attention"
    return plain, {**dict.fromkeys(("flash-attn-3", "flash-attn", "flex"), only), "varlen": MIXING}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_on_a_gpu_so_too(data: str, tmp_path: Path, machine: Callable[..., None], name: str) -> None:
    machine(H100, BUILT)
    plan = plan_of(data, model=str(small_model(name, tmp_path)), device="cuda", dtype="bf16")
    check(plan, *expected(name))


@pytest.mark.parametrize(
    ("model", "capability", "installed", "asked", "taken", "left"),
    [
        ("mistral", A100, BUILT, {}, EVERY,
         {"flash-attn-3": HOPPER, "flash-attn": f"varlen {IN_PLACE}", "flex": f"varlen {IN_PLACE}"}),
        ("mistral", H100, {"triton": "3.7"}, {}, EVERY,
         {"flash-attn-3": "build it from the folder hopper", "flash-attn": f"varlen {IN_PLACE}",
          "flex": f"varlen {IN_PLACE}"}),
        ("mistral", H100, {}, {"dtype": "fp32"}, EVERY,
         {"flash-attn-3": "computes in bf16 and fp16", "flash-attn": "computes in bf16 and fp16",
          "flex": "needs triton, which is not installed"}),
        ("mistral", H100, BUILT, {"device": "cpu"}, EVERY,
         dict.fromkeys(("flash-attn-3", "flash-attn", "flex"), "computes on a GPU, and the run is on cpu")),
        ("falcon-7b", A100, BUILT, {}, ["flash-attn", "fused-lora", "supervised-logits"],
         {"flash-attn-3": HOPPER, "varlen": MIXING, "flex": "this architecture has only eager, sdpa"}),
        ("falcon-7b", A100, {"triton": "3.7"}, {}, ["fused-lora", "supervised-logits", "sdpa"],
         {"flash-attn-3": HOPPER, "varlen": MIXING, "flash-attn": "pip install --no-build-isolation",
          "flex": "this architecture has only eager, sdpa"}),
    ],
)  # fmt: skip
def test_by_device_and_by_what_is_installed(
    data: str, tmp_path: Path, machine: Callable[..., None], model: str, capability: tuple[int, int],
    installed: Mapping[str, str], asked: Mapping[str, Any], taken: Sequence[str], left: Mapping[str, str],
) -> None:  # fmt: skip
    machine(capability, installed)
    settings = {"device": "cuda", "dtype": "bf16", **asked}
    check(plan_of(data, model=str(small_model(model, tmp_path)), **settings), taken, left)


@pytest.mark.parametrize(
    ("accelerator", "model", "changes", "says"),
    [
        ("flex", "mistral", {"attention_dropout": 0.1}, "has no dropout, and config.json says attention_dropout 0.1"),
        ("flex", "mistral", {"head_dim": 8}, "takes heads of 16 to 256, and those of this model have 8"),
        ("flex", "falcon-7b", {}, "this architecture has only eager, sdpa"),
        ("liger", "glm", {}, "has no kernels for glm (it has for "),
        ("liger", "mistral", {"hidden_act": "gelu"}, "config.json says hidden_act gelu"),
        ("liger+compile", "mistral", {}, "liger and compile both claim 'norm'"),
        ("fused-lora+compile", "mistral", {}, "fused-lora and compile both claim 'linear'"),
    ],
)
def test_what_auto_never_sees_is_refused_where_it_is_named(
    data: str, tmp_path: Path, machine: Callable[..., None], accelerator: str, model: str, changes: dict[str, Any],
    says: str,
) -> None:  # fmt: skip
    machine(H100, {**BUILT, "liger-kernel": "0.8.5"})
    folder = small_model(model, tmp_path)
    (folder / "config.json").write_text(json.dumps({**configuration(folder), **changes}), encoding="utf-8")
    plan = plan_of(data, model=str(folder), device="cuda", dtype="bf16", accelerator=accelerator)
    assert any(says in problem for problem in plan.problems), plan.problems


@pytest.mark.parametrize("accelerator", ["flex", "liger+fused-lora", "liger+flex+supervised-logits"])
def test_on_a_gpu_with_the_packages_there_is_nothing_against_them(
    data: str, tmp_path: Path, machine: Callable[..., None], accelerator: str
) -> None:
    machine(H100, {**BUILT, "liger-kernel": "0.8.5"})
    model = str(small_model("mistral", tmp_path))
    assert plan_of(data, model=model, device="cuda", dtype="bf16", accelerator=accelerator).problems == ()


def test_without_a_compiler_compile_is_refused_in_a_sentence(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    (problem,) = plan_of(data, accelerator="compile").problems
    assert "needs a C++ compiler, and there is no no-such-compiler here: install one, or leave it out" in problem


def test_packed_weights_are_not_compiled(data: str) -> None:
    (problem,) = plan_of(data, accelerator="compile", quantization="nf4").problems
    assert "compiles plain weights, and nf4 packs them" in problem
