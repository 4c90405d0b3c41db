"""``--accelerator auto`` takes what is sound, and the plan says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graftlm.contracts.config import RunConfig
from graftlm.contracts.plan import Plan
from graftlm.planning.resolve import resolve
from graftlm_registry.plugins import registry

EVERY = ["varlen", "fused-lora", "supervised-logits"]
NO_GPU = "flash-attn-3, flash-attn, flex (needs a cuda device, and this machine has only cpu)"


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
