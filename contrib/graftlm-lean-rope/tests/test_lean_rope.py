"""``lean-rope``, judged by its suite; and where it is exact, what it keeps, and where it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.mistral import modeling_mistral

import graftlm
from graftlm.api import RunError
from graftlm.testing.judging import judge
from graftlm_lean_rope.conformance import LeanRopeSuite
from graftlm_lean_rope.rotation import LeanRope, rotate

SIZES = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "pad_token_id": 0}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8}


class TestLeanRope(LeanRopeSuite):
    pass


def test_it_is_exact_beside_what_runs_on_a_cpu_take_by_themselves() -> None:
    class Together(LeanRopeSuite):
        accelerators = ("lean-rope", "varlen", "fused-lora")
        models = ("tiny-mistral",)

        def allowed(self, model: str, **settings: Any) -> Iterator[Any]:
            return (found for found in super().allowed(model, **settings) if len(found[1]) == len(self.accelerators))

    (verdict,) = judge(Together, ["test_the_gradients_are_those_of_plain_execution"])
    assert verdict.state == "passed", verdict.reason


def model(kind: str, **more: Any) -> Any:
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SIZES, **more))


def drawn(*dtypes: torch.dtype) -> tuple[torch.Tensor, ...]:
    """Queries, keys, and halves of cos and sin that differ, as no rotation's do."""
    numbers = torch.Generator().manual_seed(0)
    x, angle = dtypes
    q, k = (torch.randn(2, heads, 5, 8, generator=numbers).to(x).requires_grad_() for heads in (4, 2))
    return q, k, *(torch.randn(2, 5, 8, generator=numbers).to(angle) for _ in range(2))


def test_its_gradient_is_the_true_one() -> None:
    assert torch.autograd.gradcheck(rotate, drawn(torch.float64, torch.float64))


@pytest.mark.parametrize("dtypes", [(torch.float32,) * 2, (torch.bfloat16,) * 2, (torch.bfloat16, torch.float32)])
def test_it_gives_what_transformers_gives(dtypes: tuple[torch.dtype, torch.dtype]) -> None:
    near = 1e-6 if torch.bfloat16 not in dtypes else 0.05
    theirs, ours = (
        [*turn(q, k, cos, sin), q, k]
        for turn in (modeling_mistral.apply_rotary_pos_emb, rotate)
        for q, k, cos, sin in [drawn(*dtypes)]
    )
    for found in (theirs, ours):
        torch.autograd.backward(found[:2], [torch.ones_like(each) for each in found[:2]])
    for a, b in zip(theirs, ours, strict=True):
        assert a.dtype == b.dtype
        assert torch.allclose(a, b, atol=near)
        if a.is_leaf:
            assert torch.allclose(a.grad, b.grad, atol=near)


def test_it_keeps_cos_and_sin_and_nothing_else() -> None:
    q, k, cos, sin = drawn(torch.float32, torch.float32)
    kept: set[int] = set()
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.add(x.untyped_storage().data_ptr()) or x, lambda x: x):
        rotate(q, k, cos, sin)
    assert kept == {cos.untyped_storage().data_ptr(), sin.untyped_storage().data_ptr()}


@pytest.mark.parametrize(
    ("kind", "settings", "reason"),
    [
        ("glm", {**HEADS, "partial_rotary_factor": 1.0}, "modeling_glm.apply_rotary_pos_emb turns heads in another"),
        ("gpt2", {"n_embd": 16, "n_layer": 1, "n_head": 2}, "no layer of this model calls apply_rotary_pos_emb"),
    ],
)
def test_it_refuses_what_it_does_not_know(kind: str, settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(RunError, match=reason):
        LeanRope(SimpleNamespace(model=model(kind, **settings), happened={}))  # type: ignore[arg-type]


def test_it_says_what_ran_and_puts_everything_back() -> None:
    mistral, happened = model("mistral", **HEADS), {}
    before = modeling_mistral.apply_rotary_pos_emb
    with LeanRope(SimpleNamespace(model=mistral, happened=happened)):  # type: ignore[arg-type]
        assert happened == {}
        mistral(torch.arange(5)[None])
        assert happened == {"layers": 1}
    assert modeling_mistral.apply_rotary_pos_emb is before


def test_the_plan_refuses_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFTLM_HOME", str(tmp_path / "home"))
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps({"input": f"{i}", "output": f"{i}"}) + "\n" for i in range(30)))
    reasons = {
        "tiny-glm": "turns heads whole, and this model turns a part of each (partial_rotary_factor 0.5): leave it out",
        "shape:falcon-rw-1b": "is for rotary positions, and this model has ALiBi: leave it out",
    }
    for name, reason in reasons.items():
        plan = graftlm.plan(data=str(data), model=name, accelerator="lean-rope")
        assert any(reason in said for said in plan.problems), (name, plan.problems)
