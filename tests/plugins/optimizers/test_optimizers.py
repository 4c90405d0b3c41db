"""Optimizers in a plan, in backends and with LoRA+; ``test_optimizer_suite`` judges each by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Said

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import RunError, UsageError
from graftlm.contracts.optimizing import Optimizer
from graftlm.contracts.outcome import Outcome
from graftlm.contracts.plan import Plan
from graftlm.contracts.specs import Backend
from graftlm.planning.followed import unfollowed
from graftlm.planning.resolve import resolve
from graftlm.planning.settings import settle
from graftlm.running.train import carry_out
from graftlm.testing.in_process import start_in_process
from graftlm.worker.optimizing import Stepping, parameter_groups
from graftlm_registry.plugins import registry

ON_A_CPU = ("adamw", "adamw-8bit", "lion", "lion-8bit", "adafactor", "sgd")
PAGED = ("paged-adamw", "paged-adamw-8bit")


def plan_of(alpaca: Path, **asked: Any) -> Plan:
    settings = {"model": "tiny-mistral", "max_steps": 12, "retention": False, "device": "cpu", "warmup": 0.0, **asked}
    return resolve(RunConfig(data=str(alpaca), **settings), registry())


def trained(alpaca: Path, **asked: Any) -> Outcome:
    plan = plan_of(alpaca, **asked)
    assert plan.problems == ()
    return carry_out(plan, registry(), lambda event: None, start=start_in_process).outcome


def test_a_run_says_what_stepped_and_what_it_kept(home: Path, alpaca: Path) -> None:
    options = {"optimizer": {"min_8bit_size": 1}}
    effective = trained(alpaca, optimizer="lion-8bit", options=options, learning_rate=1e-3, max_steps=2).effective
    assert effective.optimizer == "bitsandbytes.optim.lion.Lion8bit"
    planned = registry().get(Optimizer, "lion-8bit").state_bytes * effective.trainable_parameters
    small = 4 * 256 * 2 + 16 * 100  # the maps of 8-bit codes, and the scales of blocks that are not full
    assert 0.9 * planned < effective.optimizer_bytes < 1.1 * planned + small


@pytest.mark.parametrize("backend", ["trainer"])
def test_other_backends_step_with_it_too(home: Path, alpaca: Path, backend: str) -> None:
    ours, theirs = (
        trained(alpaca, optimizer="lion", learning_rate=1e-3, backend=each, max_steps=4) for each in ("peft", backend)
    )
    assert theirs.effective.optimizer == "bitsandbytes.optim.lion.Lion32bit"
    assert theirs.losses == pytest.approx(ours.losses, abs=1e-4)


@pytest.mark.parametrize("name", PAGED)
def test_pages_are_refused_where_there_are_none(home: Path, alpaca: Path, name: str) -> None:
    (problem,) = plan_of(alpaca, optimizer=name).problems
    assert problem.startswith(f"optimizer {name}: pages move between a CUDA GPU and the CPU")


def test_its_options_are_checked_and_are_other_work(home: Path, alpaca: Path) -> None:
    plain = plan_of(alpaca)
    assert plan_of(alpaca, options={"optimizer": {"beta2": "0.999"}}).hash == plain.hash
    assert plan_of(alpaca, options={"optimizer": {"beta2": "0.95"}}).hash != plain.hash
    assert plan_of(alpaca, optimizer="sgd").hash != plain.hash
    with pytest.raises(UsageError, match=r"optimizer\.beta1 is 1, and must be at most"):
        plan_of(alpaca, options={"optimizer": {"beta1": 1}})
    with pytest.raises(UsageError, match="momentum"):
        plan_of(alpaca, options={"optimizer": {"momentum": 0.5}})


def test_its_state_counts_in_the_estimate(home: Path, alpaca: Path) -> None:
    plans = {name: plan_of(alpaca, optimizer=name).memory for name in ON_A_CPU}
    bytes_of = {name: memory.optimizer for name, memory in plans.items() if memory}
    assert bytes_of["adamw"] == 2 * bytes_of["lion"] == 2 * bytes_of["sgd"] > 3 * bytes_of["adamw-8bit"]


def test_the_commands_know_the_kind(run: Callable[..., Said], alpaca: Path) -> None:
    shown = run("plugins", "show", "optimizer/adamw").out
    assert "--set optimizer.beta1=" in shown
    assert "optimizer" in run("plugins", "list").out
    said = run("plan", alpaca, "--model", "tiny-mistral", "--optimizer", "adamv")
    assert (said.code, "Did you mean 'adamw'" in said.err) == (2, True)


# LoRA+


def test_second_matrices_have_a_rate_of_their_own(home: Path, alpaca: Path) -> None:
    """One step of plain gradient descent moves every second matrix four times as far, and the first ones as far."""
    model = torch.nn.ModuleDict({"lora_A": torch.nn.Linear(3, 2, bias=False), "lora_B": torch.nn.Linear(2, 3)})
    model["frozen"] = torch.nn.Linear(2, 2).requires_grad_(False)
    plan = plan_of(alpaca, optimizer="sgd", loraplus_ratio=4.0, learning_rate=0.5)
    optimizer = Stepping(plan).optimizer(model)
    found = [(len(group["params"]), group["lr"], group["scale"]) for group in optimizer.param_groups]
    assert found == [(1, 0.5, 1.0), (2, 2.0, 4.0)]
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    optimizer.step()
    moved = {name: float((before[name] - p.detach()).mean()) for name, p in model.named_parameters()}
    assert moved == pytest.approx(
        {"lora_A.weight": 0.5, "lora_B.weight": 2.0, "lora_B.bias": 2.0, "frozen.weight": 0.0, "frozen.bias": 0.0}
    )


def test_backends_agree_on_lora_plus(home: Path, alpaca: Path) -> None:
    asked = {"loraplus_ratio": 8.0, "learning_rate": 1e-3, "max_steps": 5, "warmup": 0.4}
    ours, theirs = (trained(alpaca, backend=backend, **asked).losses for backend in ("peft", "trainer"))
    assert theirs == pytest.approx(ours, abs=1e-4)
    assert ours[-1] < trained(alpaca, **{**asked, "loraplus_ratio": 1.0}).losses[-1] - 1e-3


def test_lora_plus_is_lora_s(home: Path, alpaca: Path) -> None:
    with pytest.raises(UsageError, match=r"--loraplus-ratio: method full has no such setting"):
        plan_of(alpaca, method="full", loraplus_ratio=2.0)
    with pytest.raises(RunError, match="nothing that is trained here is one"):
        list(parameter_groups(torch.nn.Linear(2, 2), 2.0))


# Other backends


def test_what_a_backend_does_not_follow_is_refused(home: Path, alpaca: Path) -> None:
    backend = Backend(name="theirs", summary="its own", target="nothing:there")
    config = RunConfig(data=str(alpaca), model="tiny-mistral", optimizer="lion", loraplus_ratio=2.0)
    asked = {"optimizer": {"beta1": "0.5"}}
    assert list(unfollowed(settle(config, {}), backend, asked)) == [
        "does not follow --optimizer lion: leave --optimizer out, or choose --backend peft",
        "does not follow --loraplus-ratio 2.0: leave --loraplus-ratio out, or choose --backend peft",
    ]
    plain = settle(RunConfig(data=str(alpaca), model="tiny-mistral"), {})
    assert list(unfollowed(plain, backend, {})) == []
    (reason,) = unfollowed(plain, backend, asked)
    assert reason.startswith("does not follow --set optimizer.")
