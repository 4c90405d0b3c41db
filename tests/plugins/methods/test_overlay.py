"""Full and partial training: what is trained, rounded, kept, and put onto a fresh base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tuning import (
    MISTRAL,
    against,
    logits,
    mistral,
    plan,
    qwen2,
    qwen3_moe,
    round_trip,
    specs,
    train,
    trained_count,
    tuner,
)

from graftlm.contracts.errors import RunError
from graftlm.contracts.model import FamilyFacts
from graftlm.contracts.situation import Probe, Situation
from graftlm_plugins.methods.overlay_tuner import ABOUT, TENSORS

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "full": ("full", {}),
    "the last layers": ("freeze", {}),
    "one layer and embeddings": ("freeze", {"layers": 1, "embeddings": True}),
    "named modules": ("freeze", {"modules": "model.layers.0,down_proj,model.norm"}),
    "a tied head": ("freeze", {"modules": "lm_head"}),
}


def half() -> Any:
    return mistral(torch.bfloat16)


@pytest.mark.parametrize("base", [mistral, half], ids=["fp32", "bf16"])
@pytest.mark.parametrize("case", CASES)
def test_what_is_kept_is_what_was_trained(case: str, base: Any, tmp_path: Path) -> None:
    name, given = CASES[case]
    low = torch.bfloat16 if base is half else None
    before, tuned, again = round_trip(name, base, tmp_path, autocast=low, rate=1e-3, **given)
    assert torch.equal(tuned, again)
    assert float((tuned - before).abs().max()) > 1e-3
    assert sorted(p.name for p in tmp_path.iterdir()) == [ABOUT, TENSORS]
    kept = load_file(tmp_path / TENSORS)
    about = json.loads((tmp_path / ABOUT).read_text(encoding="utf-8"))
    dtype = "bf16" if low else "fp32"
    assert about == {"format": 1, "method": name, "dtype": dtype, "tensors": len(kept)}
    assert kept.keys() <= dict(base().named_parameters()).keys()
    assert {tensor.dtype for tensor in kept.values()} == {low or torch.float32}


@pytest.mark.parametrize("base", [qwen2, qwen3_moe])
@pytest.mark.parametrize("name", ["full", "freeze"])
def test_other_architectures(name: str, base: Any, tmp_path: Path) -> None:
    _, tuned, again = round_trip(name, base, tmp_path, rate=1e-3, **({"layers": 1} if name == "freeze" else {}))
    assert torch.equal(tuned, again)


@pytest.mark.parametrize("case", [*CASES, "nothing but embeddings"])
def test_what_is_counted_is_what_is_trained(case: str) -> None:
    name, given = CASES.get(case, ("freeze", {"layers": 0, "embeddings": True}))
    count, method = specs()[name].trained, plan(name, **given)
    assert count is not None
    model = tuner(name).attach(mistral(), method, None)
    if case == "named modules":  # layer 0's own down_proj is named twice, and counted so
        assert count(MISTRAL, method) - trained_count(model) == 320 * 128
    else:
        assert count(MISTRAL, method) == trained_count(model)


def test_the_rest_is_frozen_and_stays(tmp_path: Path) -> None:
    model, fresh = tuner("freeze").attach(half(), plan("freeze", layers=1), None), half()
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert all(name.startswith("model.layers.3.") for name in trained)
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    assert tuner("freeze").adapted(model)["q_proj"] == 1
    train(model, autocast=torch.bfloat16)
    for name, parameter in fresh.named_parameters():
        if name not in trained:
            assert torch.equal(parameter, dict(model.named_parameters())[name]), name


def test_steps_smaller_than_bf16_can_tell_apart_add_up() -> None:
    """They would be lost one by one if the weights were trained in bf16."""
    model = tuner("full").attach(half(), plan("full"), None)
    before = model.model.layers[0].mlp.up_proj.weight.detach().clone()
    train(model, steps=4, rate=2e-5, autocast=torch.bfloat16)
    moved = (model.model.layers[0].mlp.up_proj.weight - before).abs()
    assert float(moved.median()) > 4e-5


def test_a_tied_head_stays_tied(tmp_path: Path) -> None:
    own = tuner("full")
    round_trip("full", mistral, tmp_path / "a", rate=1e-3)
    merged = own.merge(own.apply(mistral(), tmp_path / "a"))
    assert merged.lm_head.weight is merged.model.embed_tokens.weight
    merged.save_pretrained(tmp_path / "b")
    assert torch.equal(logits(type(merged).from_pretrained(tmp_path / "b")), logits(merged))


def test_going_on(tmp_path: Path) -> None:
    _, tuned, _ = round_trip("freeze", half, tmp_path, autocast=torch.bfloat16, rate=1e-3, layers=1)
    model = tuner("full").attach(half(), plan("full", parent="a@1"), tmp_path)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(logits(model), tuned, atol=0.5)
    kept = load_file(tmp_path / TENSORS)
    for name, parameter in model.named_parameters():
        if name in kept:
            assert torch.equal(parameter, kept[name].float())
    round_trip("freeze", mistral, tmp_path / "b", rate=1e-3, modules="model.norm")
    with pytest.raises(RunError, match=r"changed model\.norm\.weight, which this run would not keep"):
        tuner("freeze").attach(mistral(), plan("freeze", parent="a@1"), tmp_path / "b")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"layers": 5}, "method.layers is 5, and this model has 4 layers"),
        ({"modules": "q_prj"}, "q_prj matches no module of this model that has weights"),
        ({"modules": "act_fn"}, "act_fn matches no module of this model that has weights"),
    ],
)
def test_what_is_not_there(given: dict[str, Any], says: str) -> None:
    with pytest.raises(RunError, match=says):
        tuner("freeze").attach(mistral(), plan("freeze", **given), None)


@pytest.mark.parametrize("what", ["another name", "another shape", "fewer", "another format", "nothing"])
def test_an_overlay_that_does_not_fit(what: str, tmp_path: Path) -> None:
    round_trip("freeze", mistral, tmp_path, rate=1e-3, modules="model.norm")
    (weight,) = load_file(tmp_path / TENSORS).values()
    about = json.loads((tmp_path / ABOUT).read_text(encoding="utf-8"))
    tensors = {
        "another name": {"model.norms.weight": weight},
        "another shape": {"model.norm.weight": weight[:2].clone()},
        "fewer": {"model.norm.weight": weight, "model.layers.0.input_layernorm.weight": weight.clone()},
    }
    if what in tensors:
        save_file(tensors[what], tmp_path / TENSORS)
    elif what == "another format":
        (tmp_path / ABOUT).write_text(json.dumps({**about, "format": 2}), encoding="utf-8")
    else:
        (tmp_path / TENSORS).unlink()
    says = {
        "another name": "changes model.norms.weight, which this base does not have",
        "another shape": r"is \(2,\) in the overlay, and \(128,\) in this base",
        "fewer": "has 2 tensors, and overlay.json says 1",
        "another format": "install a newer one",
        "nothing": "is not an overlay",
    }
    with pytest.raises(RunError, match=says[what]):
        tuner("freeze").apply(mistral(), tmp_path)


def situation(bits: float, method: str) -> Situation:
    facts = FamilyFacts(attention=("q_proj",), mlp=("up_proj",))
    probe = Probe(python="3.11", versions={}, devices=())
    options = {option.name: option.default for option in specs()[method].options}
    return Situation(
        facts=facts, config={}, probe=probe, device="cpu", dtype="bf16", quantization_bits=bits, method=method,
        method_options=options,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["full", "freeze", "pissa", "olora", "loha", "osf"])
def test_quantized_weights_are_refused(name: str) -> None:
    spec = specs()[name]
    assert not spec.supports(situation(0, name))
    assert "choose --method lora" in spec.supports(situation(4.1, name))[0]
    assert not specs()["lora"].supports(situation(4.1, "lora"))


def test_nothing_to_train_is_an_error_of_the_plan() -> None:
    assert "nothing would be trained" in against("freeze", layers=0)
    assert not against("freeze", layers=0, modules="q_proj")


def test_settings_and_the_learning_rate() -> None:
    for name in ("full", "freeze"):
        assert specs()[name].settings == ()
        assert specs()[name].suggestions == {"learning_rate": 2e-5}
        assert specs()[name].keeps == "overlay"
