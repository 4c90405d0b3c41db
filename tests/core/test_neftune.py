"""NEFTune: as much noise as the paper says, in training alone, and none afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, MistralConfig

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import RunError
from graftlm.contracts.outcome import Outcome
from graftlm.planning.resolve import resolve
from graftlm.running.train import carry_out
from graftlm.testing.in_process import start_in_process
from graftlm.worker.neftune import noisy_embeddings
from graftlm_registry.plugins import registry

WIDTH = 32
MASK = torch.tensor([[1] * 12, [1] * 3 + [0] * 9])
PACKED = torch.tensor([[*range(8), *range(4)]])


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=64, hidden_size=WIDTH, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2,
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config)


def embedded(model: Any, rows: int, **inputs: Any) -> torch.Tensor:
    """What the decoder's layers are given."""
    found: list[torch.Tensor] = []
    hook = model.model.layers[0].register_forward_pre_hook(lambda module, given: found.append(given[0].detach()))
    model(input_ids=torch.arange(12).repeat(rows, 1), use_cache=False, **inputs)
    hook.remove()
    return found[0]


@pytest.mark.parametrize(
    ("rows", "inputs", "tokens"),
    [
        (2, {}, [[12] * 12] * 2),
        (2, {"attention_mask": MASK}, [[12] * 12, [3] * 12]),
        (1, {"position_ids": PACKED}, [[8] * 8 + [4] * 4]),
    ],
    ids=["whole", "padded", "packed"],
)
def test_its_size_goes_by_the_sample_s_own_length(
    model: Any, rows: int, inputs: dict[str, Any], tokens: list[list[int]]
) -> None:
    model.train()
    plain = embedded(model, rows, **inputs)
    with noisy_embeddings(model, 5.0, torch.Generator().manual_seed(0)):
        noise = torch.stack([embedded(model, rows, **inputs) - plain for _ in range(20)])
    most = 5.0 / (torch.tensor(tokens, dtype=torch.float32) * WIDTH).sqrt()
    share = noise / most[..., None]
    assert float(share.abs().max()) <= 1 + 1e-4
    spread = share.square().mean(dim=(0, 3))  # of a uniform number in -1..1: a third
    assert torch.allclose(spread, torch.full_like(spread, 1 / 3), atol=0.08)
    assert float(share.mean().abs()) < 0.05
    assert not torch.equal(noise[0], noise[1])


def test_there_is_none_in_evaluation_and_none_afterwards(model: Any) -> None:
    plain = embedded(model.eval(), 1)
    with noisy_embeddings(model, 5.0, torch.Generator().manual_seed(0)):
        assert torch.equal(embedded(model.eval(), 1), plain)
        assert not torch.equal(embedded(model.train(), 1), plain)
    assert torch.equal(embedded(model.train(), 1), plain)
    modules = list(model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in modules)


def test_a_run_without_any_noise_is_told(model: Any) -> None:
    with (
        pytest.raises(RunError, match="NEFTune did nothing"),
        noisy_embeddings(model, 5.0, torch.Generator().manual_seed(0)),
    ):
        embedded(model.eval(), 1)


def trained(alpaca: Path, **asked: Any) -> Outcome:
    settings = {"model": "tiny-mistral", "device": "cpu", "retention": False, "max_steps": 2, **asked}
    plan = resolve(RunConfig(data=str(alpaca), **settings), registry())
    assert plan.problems == ()
    return carry_out(plan, registry(), lambda event: None, start=start_in_process).outcome


@pytest.mark.parametrize("backend", ["peft", "trainer"])
def test_a_run_trains_with_it_and_is_proved_without(home: Path, alpaca: Path, backend: str) -> None:
    """The same seed draws the same noise; validation and proof see none of it."""
    slow = {"learning_rate": 1e-7, "max_steps": 1, "backend": backend, "accelerator": "sdpa"}
    plain = trained(alpaca, **slow)
    noisy, again = (trained(alpaca, **slow, neftune_alpha=20.0) for _ in range(2))
    assert noisy.losses == again.losses
    assert abs(noisy.first_loss - plain.first_loss) > 1e-3
    assert noisy.validation_loss == pytest.approx(plain.validation_loss, abs=5e-3)


@pytest.mark.parametrize("more", [{}, {"gradient_checkpointing": True}, {"method": "full", "learning_rate": 1e-4}])
def test_it_goes_with_what_else_there_is(home: Path, alpaca: Path, more: dict[str, Any]) -> None:
    assert trained(alpaca, neftune_alpha=5.0, **more).proof.effect > 0
