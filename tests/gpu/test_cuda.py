"""What can only be seen on a GPU. ``make test-gpu`` runs it with the torch that is installed there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Said

from graftlm.contracts.config import RunConfig
from graftlm.planning.probing import probe
from graftlm.planning.resolve import resolve
from graftlm.running.train import carry_out
from graftlm.testing.in_process import start_in_process
from graftlm_registry.models import catalogue
from graftlm_registry.plugins import registry

pytestmark = pytest.mark.gpu
MODELS = [name for name in catalogue().names() if catalogue().entry(name).folder is not None]


@pytest.fixture(autouse=True)
def _cuda(home: Path) -> None:
    if "cuda" not in probe().device_types:
        pytest.skip("no CUDA device here")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("backend", ["peft", "trainer"])
def test_it_trains_on_the_device_in_the_precision_that_was_asked(
    alpaca: Path, model: str, dtype: str, backend: str
) -> None:
    config = RunConfig(
        data=str(alpaca), model=model, backend=backend, dtype=dtype, max_steps=20, retention=False, learning_rate=3e-3
    )
    outcome = carry_out(resolve(config, registry()), registry(), lambda event: None, start=start_in_process).outcome
    assert (outcome.effective.device, outcome.effective.dtype) == ("cuda", dtype)
    assert outcome.losses[-1] < outcome.first_loss
    assert outcome.proof.base_before == outcome.proof.base_after


@pytest.mark.parametrize("model", MODELS)
def test_the_first_loss_is_the_cpu_s(alpaca: Path, model: str) -> None:
    def first_loss(device: str) -> float:
        config = RunConfig(data=str(alpaca), model=model, device=device, dtype="fp32", max_steps=2, retention=False)
        plan = resolve(config, registry())
        return carry_out(plan, registry(), lambda event: None, start=start_in_process).outcome.first_loss

    assert first_loss("cuda") == pytest.approx(first_loss("cpu"), abs=1e-3)


def test_the_demo_uses_the_device(run: Callable[..., Said]) -> None:
    said = run("demo", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["new_skill"]["after"] >= 0.95
