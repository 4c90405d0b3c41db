"""A backend that loads base and adapter itself: what it made is compared with the plan before it trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import RunError
from graftlm.contracts.job import TrainJob
from graftlm.contracts.plan import Plan
from graftlm.contracts.versions import versions
from graftlm.planning.resolve import resolve
from graftlm.source import code_digest
from graftlm.worker.effective import effective, loaded_by_a_backend, place
from graftlm.worker.initial_weights import place_initial
from graftlm.worker.load import load_base
from graftlm.worker.process_check import check_process
from graftlm_plugins.methods.lora_tuner import LoraTuner
from graftlm_registry.plugins import registry

Made = Callable[..., Any]


@pytest.fixture
def plan(home: Path, alpaca: Path) -> Plan:
    return resolve(RunConfig(data=str(alpaca), model="tiny-mistral", rank=4, alpha=8, dtype="fp32"), registry())


@pytest.fixture
def made(plan: Plan) -> Made:
    """A PEFT model as a backend might make it, with other settings than the plan's where some are given."""

    def make(**settings: Any) -> Any:
        from peft import LoraConfig, get_peft_model

        base = load_base(plan.load, Path(plan.model.folder), "cpu").model
        given = {"r": 4, "lora_alpha": 8, "target_modules": list(plan.method.target_modules), **settings}
        return get_peft_model(base, LoraConfig(**given))

    return make


def trained(model: Any) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


def test_what_is_the_plan_s_is_measured(plan: Plan, made: Made) -> None:
    model = made()
    loaded = loaded_by_a_backend(model, plan)
    found = effective(model, loaded, plan, LoraTuner(), "a loss", packing=False)
    whole = sum(p.numel() for p in model.parameters())
    assert found.adapted_layers == found.linear_layers == 28
    assert found.total_parameters == whole
    assert (found.dtype, found.attention, found.quantized_layers) == ("fp32", "sdpa", 0)
    assert model.peft_config["default"].base_model_name_or_path == "tiny-mistral"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lora_alpha": 16}, "the plan says lora_alpha 8, and the backend made an adapter with 16"),
        ({"lora_dropout": 0.1}, "the plan says lora_dropout 0"),
        ({"use_rslora": True}, "the plan says use_rslora False"),
        ({"r": 8}, "the plan says r 4"),
    ],
)
def test_another_setting_is_found_which_no_reload_would_show(
    plan: Plan, made: Made, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(RunError, match=said):
        loaded_by_a_backend(made(**settings), plan)


def test_the_run_s_initial_weights_are_put_in(made: Made) -> None:
    initial, model = trained(made()), made()
    assert any(not torch.equal(initial[n], p) for n, p in trained(model).items())
    place(model, initial)
    assert all(torch.equal(initial[n], p) for n, p in trained(model).items())


def test_weights_that_do_not_fit_are_not_spread_or_rounded(made: Made) -> None:
    narrow = trained(made(r=1))
    with pytest.raises(
        RunError, match=r"\(4, .* in the loaded adapter, and in the run's initial weights it is .*\(1, "
    ):
        place(made(), narrow)
    with pytest.raises(RunError, match=r"float32 .* in the loaded adapter, and .* is torch.bfloat16"):
        place(made(), {name: tensor.bfloat16() for name, tensor in trained(made()).items()})
    with pytest.raises(RunError, match="of another adapter than the loaded one: 8 tensors differ"):
        place(made(), {name: tensor for name, tensor in trained(made()).items() if "q_proj" not in name})


def test_without_initial_weights_nothing_is_trained(plan: Plan, made: Made, tmp_path: Path) -> None:
    """A backend's own start would be taken for the run's, and a parent's weights would be lost."""
    with pytest.raises(RunError, match="only a backend with an environment of its own gets them"):
        place_initial(made(), tmp_path / "none.safetensors", plan)


def test_a_process_with_other_packages_than_the_plan_s_does_not_train(plan: Plan) -> None:
    job = TrainJob(run="r", model="m", staged="s", code=code_digest())
    told: list[str] = []
    events: Any = SimpleNamespace(warning=told.append)
    check_process(plan, job, events)
    other = {**versions(), "transformers": "4.0"}
    changed = replace(plan, environment="trl", probe=replace(plan.probe, versions=other))
    with pytest.raises(
        RunError, match=r"environment 'trl' has changed .*transformers .*graftlm envs create trl --again"
    ):
        check_process(changed, job, events)
    with pytest.raises(RunError, match="has another graftlm than the plan was made with"):
        check_process(plan, replace(job, code="0" * 16), events)
    assert told == []
    check_process(changed, replace(job, code="0" * 16, any_stack=True), events)
    assert [said.split(":")[0].split(" since")[0] for said in told] == [
        "environment 'trl' has changed",
        "environment 'trl' has another graftlm than the plan was made with",
    ]
