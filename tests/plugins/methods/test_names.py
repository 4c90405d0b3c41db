"""What the plan says of names, from a family's paths, is what the worker finds in the model itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from transformers import PreTrainedModel
from tuning import ALL_LINEAR, against, facts, mistral, plan, qwen3_moe, tuner

from graftlm.contracts.errors import RunError
from graftlm.contracts.model import FamilyFacts
from graftlm.contracts.specs import ModelFamily
from graftlm_plugins.methods.names import paths_of
from graftlm_registry.plugins import registry


def moe() -> FamilyFacts:
    return registry().get(ModelFamily, "qwen").facts(qwen3_moe().config.to_dict())


MODELS: dict[str, tuple[Callable[[], PreTrainedModel], Callable[[], FamilyFacts]]] = {
    "tiny-mistral": (mistral, facts),
    "qwen3_moe": (qwen3_moe, moe),
}
CASES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("lora", {"layers_to_transform": (0, 4)}),
    ("lora", {"layers_to_transform": (1,), "layers_pattern": "layers"}),
    ("lora", {"layers_to_transform": (1,), "layers_pattern": "layer"}),
    ("lora", {"exclude_modules": "q_prj"}),
    ("lora", {"exclude_modules": "q_proj"}),
    ("lora", {"exclude_modules": "layers.1.self_attn.q_proj"}),
    ("lora", {"exclude_modules": "layers.7.self_attn.q_proj"}),
    ("lora", {"modules_to_save": "norm"}),
    ("lora", {"modules_to_save": "model.norm,lm_head"}),
    ("lora", {"modules_to_save": "head"}),
    ("lora", {"modules_to_save": "mlp"}),
    ("lora", {"modules_to_save": "self_attn"}),
    ("lora", {"rank_pattern": {"up_proj": 2}}),
    ("lora", {"rank_pattern": {".*v_proj": 2, r"layers\.1\..*": 8}}),
    ("lora", {"rank_pattern": {"v": 2}}),
    ("lora", {"alpha_pattern": {"layers.1.self_attn.(q|k)_proj": 2}}),
    ("lora", {"target_parameters": "experts.gate_up_proj"}),
    ("lora", {"target_parameters": "experts.up_proj"}),
    ("freeze", {"layers": 3}),
    ("freeze", {"modules": "layers.1,lm_head"}),
    ("freeze", {"modules": "experts"}),
    ("freeze", {"modules": "gate"}),
    ("freeze", {"modules": "act_fn"}),
    ("freeze", {"modules": "layers.2.self_attn"}),
    ("ia3", {"feedforward_modules": "v_proj"}),
    ("ia3", {"feedforward_modules": "up_proj"}),
    ("loha", {"rank_pattern": {"q_prj": 2}}),
    ("ln_tuning", {"target_modules": "q_norm"}),
)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("name", "given"), CASES, ids=[f"{name} {given}" for name, given in CASES])
def test_the_plan_and_the_worker_agree(name: str, given: dict[str, Any], model: str) -> None:
    base, known = MODELS[model]
    refused = against(name, of=known(), **given)
    try:
        tuner(name).attach(base(), plan(name, **given), None)
    except RunError:
        assert refused
    else:
        assert refused == ""


def test_without_paths_names_are_left_to_the_worker_and_numbers_are_not() -> None:
    silent = replace(facts(), modules=())
    for given in ({"exclude_modules": "nix"}, {"rank_pattern": {"q_prj": 2}}, {"modules_to_save": "lm_hed"}):
        assert against("lora", **given)
        assert against("lora", of=silent, **given) == ""
    assert "this model has 4 layers" in against("lora", of=silent, layers_to_transform=(4,))
    assert "neither a name nor" in against("lora", of=silent, rank_pattern={"(": 2})
    assert against("freeze", of=silent, modules="foo") == ""
    nothing = replace(silent, shape=None)
    assert against("lora", of=nothing, layers_to_transform=(4,)) == ""
    assert against("pissa", of=nothing, rank=1000) == ""
    assert against("freeze", of=nothing, layers=99) == ""


@pytest.mark.parametrize("model", ["tiny-mistral", "tiny-qwen", "tiny-glm", "tiny-falcon"])
def test_every_target_and_layer_of_the_built_in_models_is_known(model: str) -> None:
    known = facts(model)
    linear = (*known.attention, *known.mlp)
    assert known.shape is not None
    layers = tuple(range(known.shape.layers))
    patterns = dict.fromkeys(linear, 2)
    given = {"targets": linear, "layers_to_transform": layers, "rank_pattern": patterns, "exclude_modules": "lm_head"}
    assert against("lora", of=known, **given) == ""
    assert f"has {len(layers)} layers" in against("freeze", of=known, layers=len(layers) + 1)


def test_the_paths_are_those_of_the_model() -> None:
    for base, known in MODELS.values():
        model = base()
        modules, tensors = paths_of(known())
        with_weights = {path for path, m in model.named_modules() if path and next(m.parameters(), None) is not None}
        assert set(modules) == with_weights
        assert {name for name, _ in model.named_parameters(remove_duplicate=False)} <= set(tensors)


def test_an_orthogonal_start_wants_even_ranks_in_each_layer() -> None:
    assert against("lora", init_lora_weights="orthogonal") == ""
    said = against("lora", init_lora_weights="orthogonal", rank_pattern={".*k_proj": 3}, targets=ALL_LINEAR)
    assert "takes even ranks alone, and k_proj would have 3" in said
