"""Label smoothing: torch's and transformers' formula, in training alone, whoever computes the loss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers.trainer_pt_utils import LabelSmoother

from graftlm.contracts.config import RunConfig
from graftlm.contracts.plan import Plan
from graftlm.contracts.services import Batch
from graftlm.contracts.specs import Accelerator
from graftlm.planning.resolve import resolve
from graftlm.running.train import carry_out
from graftlm.testing.gradients import gradients
from graftlm.testing.in_process import start_in_process
from graftlm.worker.plain_loss import PlainLoss
from graftlm_plugins.accelerators.worker import supervised_loss
from graftlm_registry.plugins import Registry, registry

EXACT = 1e-5


def plan_of(alpaca: Path, **asked: Any) -> Plan:
    settings = {"model": "tiny-mistral", "device": "cpu", "retention": False, "max_steps": 3, **asked}
    return resolve(RunConfig(data=str(alpaca), **settings), registry())


class Says(torch.nn.Module):
    """A model that gives these logits."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, **inputs: Any) -> Any:
        return SimpleNamespace(logits=self.logits)


def test_it_is_transformers_formula_and_plain_in_evaluation() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 5, 11), torch.randint(0, 11, (2, 5))
    labels[0, :3] = -100
    batch = Batch(ids=labels, labels=labels, mask=None, tokens=10, trained=6)
    model, loss = Says(logits), PlainLoss("cpu", 0.2)
    theirs = LabelSmoother(epsilon=0.2)({"logits": logits}, labels, shift_labels=True)
    assert float(loss(model.train(), batch)) == pytest.approx(6 * float(theirs), rel=1e-6)
    plain = PlainLoss("cpu")(model, batch)
    assert torch.equal(loss(model.eval(), batch), plain)
    assert not torch.equal(loss(model.train(), batch), plain)


@pytest.mark.parametrize("chunk", [64 << 20, 40_000])
def test_the_head_where_labels_are_has_the_same_gradients(
    home: Path, alpaca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """All at once, and in chunks behind a frozen head."""
    monkeypatch.setitem(supervised_loss.CHUNK, "cpu", chunk)
    plans = {
        (smoothing, name): plan_of(alpaca, label_smoothing=smoothing, accelerator=name)
        for smoothing in (0.0, 0.3)
        for name in ("sdpa", "supervised-logits")
    }
    found = {key: gradients(replace(plan, hash="one"), tmp_path) for key, plan in plans.items()}
    ours, plain = found[0.3, "supervised-logits"], found[0.3, "sdpa"]
    assert ours.happened["supervised-logits"]["logits in a chunk"] < (1 << 20 if chunk > 1 << 20 else 30)
    assert ours.error(plain) < EXACT
    assert ours.loss == pytest.approx(plain.loss, rel=1e-6)
    assert plain.error(found[0.0, "sdpa"]) > 1e-2


def test_a_head_that_is_trained_has_them_too(
    home: Path, alpaca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(supervised_loss.CHUNK, "cpu", 40_000)
    ours, plain = (
        gradients(plan_of(alpaca, label_smoothing=0.3, accelerator=name, method="full"), tmp_path)
        for name in ("supervised-logits", "sdpa")
    )
    assert ours.error(plain) < EXACT


def test_the_first_loss_is_smoothed_and_the_validation_s_is_not(home: Path, alpaca: Path) -> None:
    asked = {"max_steps": 1, "learning_rate": 1e-7}
    plain, smoothed = (
        carry_out(plan_of(alpaca, **asked, **more), registry(), lambda e: None, start=start_in_process).outcome
        for more in ({}, {"label_smoothing": 0.5})
    )
    assert smoothed.first_loss > plain.first_loss + 0.1
    assert smoothed.validation_loss == pytest.approx(plain.validation_loss, abs=5e-3)


def test_it_is_refused_where_nobody_would_smooth(home: Path, alpaca: Path) -> None:
    (problem,) = plan_of(alpaca, label_smoothing=0.1, backend="trainer").problems
    assert "does not follow --label-smoothing 0.1" in problem
    known = registry()
    plugins = []
    for plugin in known.plugins:
        specs = tuple(replace(s, smooths=False) if isinstance(s, Accelerator) else s for s in plugin.specs)
        plugins.append(replace(plugin, specs=specs))
    config = RunConfig(data=str(alpaca), model="tiny-mistral", device="cpu", label_smoothing=0.1)
    plan = resolve(config, Registry(plugins))
    assert "supervised-logits" not in [part.name for part in plan.all_parts("accelerator")]
    assert any("supervised-logits (computes the loss without --label-smoothing" in note for note in plan.notes)
    asked = resolve(replace(config, accelerator="supervised-logits"), Registry(plugins))
    assert any("computes the loss without --label-smoothing" in problem for problem in asked.problems)
