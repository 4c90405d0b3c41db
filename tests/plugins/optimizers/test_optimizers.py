"""Every optimizer trains a tiny model, is what stepped, and keeps what its plan says; or it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Said

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import UsageError
from graftlm.contracts.optimizing import Optimizer
from graftlm.contracts.outcome import Outcome
from graftlm.contracts.plan import Plan
from graftlm.planning.resolve import resolve
from graftlm.running.train import carry_out
from graftlm.testing.in_process import start_in_process
from graftlm_registry.plugins import registry

EIGHT = {"min_8bit_size": 1}
ON_A_CPU: dict[str, tuple[str, dict[str, Any], float]] = {
    "adamw": ("torch.optim.adamw.AdamW", {}, 3e-3),
    "adamw-8bit": ("bitsandbytes.optim.adamw.AdamW8bit", EIGHT, 3e-3),
    "lion": ("bitsandbytes.optim.lion.Lion32bit", {}, 1e-3),
    "lion-8bit": ("bitsandbytes.optim.lion.Lion8bit", EIGHT, 1e-3),
    "adafactor": ("transformers.optimization.Adafactor", {}, 3e-3),
    "sgd": ("torch.optim.sgd.SGD", {}, 0.1),
}
PAGED = ("paged-adamw", "paged-adamw-8bit")


def plan_of(alpaca: Path, **asked: Any) -> Plan:
    settings = {"model": "tiny-mistral", "max_steps": 12, "retention": False, "device": "cpu", "warmup": 0.0, **asked}
    return resolve(RunConfig(data=str(alpaca), **settings), registry())


def trained(alpaca: Path, **asked: Any) -> Outcome:
    plan = plan_of(alpaca, **asked)
    assert plan.problems == ()
    return carry_out(plan, registry(), lambda event: None, start=start_in_process).outcome


def test_all_of_them_are_tried_here() -> None:
    assert {*ON_A_CPU, *PAGED} == set(registry().names("optimizer"))


@pytest.mark.parametrize("name", ON_A_CPU)
def test_it_trains_and_is_what_stepped(home: Path, alpaca: Path, name: str) -> None:
    wanted, options, rate = ON_A_CPU[name]
    outcome = trained(alpaca, optimizer=name, options={"optimizer": options}, learning_rate=rate)
    assert outcome.losses[-1] < 0.6 * outcome.first_loss
    assert outcome.effective.optimizer == wanted
    planned = registry().get(Optimizer, name).state_bytes * outcome.effective.trainable_parameters
    small = 4 * 256 * 2 + 16 * 100  # the maps of 8-bit codes, and the scales of blocks that are not full
    assert 0.3 * planned < outcome.effective.optimizer_bytes < 1.1 * planned + small


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
