"""Early stopping, and the weights of the best validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from graftlm.cli.results import outcome_text
from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import RunError, UsageError
from graftlm.contracts.plan import Plan, TrainingPlan
from graftlm.planning.resolve import resolve
from graftlm.running.train import Trained, carry_out
from graftlm.testing.in_process import start_in_process
from graftlm.worker.best import Best
from graftlm.worker.course import Course
from graftlm_registry.plugins import registry

PLAN = TrainingPlan(
    epochs=2, steps=10, batch_size=4, micro_batch=2, learning_rate=0.01, schedule="cosine", warmup_steps=2,
    weight_decay=0, max_grad_norm=1, seed=5, eval_every=5, early_stopping=2, keep="best",
)  # fmt: skip


def plan_of(rows: Path, **asked: Any) -> Plan:
    """What few rows say by heart is wrong for the others: the validation loss rises again."""
    settings = {"model": "tiny-mistral", "max_steps": 40, "eval_every": 4, "learning_rate": 5e-3, "val_split": 0.4}
    settings |= {"device": "cpu", "retention": False, "warmup": 0.0, "schedule": "constant", "name": "stopped"}
    return resolve(RunConfig(data=str(rows), **{**settings, **asked}), registry())


def trained(rows: Path, **asked: Any) -> Trained:
    plan = plan_of(rows, **asked)
    assert plan.problems == ()
    return carry_out(plan, registry(), lambda event: None, start=start_in_process)


@pytest.mark.parametrize("backend", ["peft", "trainer"])
def test_it_stops_and_keeps_the_best(home: Path, alpaca: Path, backend: str) -> None:
    made = trained(alpaca, early_stopping=2, backend=backend)
    outcome, steps = made.outcome, len(made.outcome.losses)
    losses = dict(outcome.validation)
    best = min(losses, key=lambda step: losses[step])
    assert outcome.stopped_early
    assert (steps, outcome.kept_step) == (best + 8, best)  # two validations without a better one
    assert (outcome.validation_loss, made.record.validation_loss) == (losses[best], losses[best])
    known = made.record.hyperparameters
    assert (known["steps"], known["kept_step"], known["early_stopping"]) == (steps, best, 2)
    said = outcome_text(made)
    assert f"stopped early after step {steps}: the validation loss no longer fell" in said
    assert f"kept are the weights of step {best}, which had the lowest validation loss" in said


def test_what_is_kept_is_what_a_run_of_that_length_makes(home: Path, alpaca: Path) -> None:
    """The files, to the last bit; and with --keep last those of another step."""
    best = trained(alpaca, early_stopping=2)
    short = trained(alpaca, max_steps=best.outcome.kept_step)
    last = trained(alpaca, early_stopping=2, keep="last")
    assert best.record.digest == short.record.digest != last.record.digest
    assert last.outcome.kept_step == len(last.outcome.losses) == len(best.outcome.losses)


def test_the_best_is_kept_of_a_run_that_goes_to_its_end(home: Path, alpaca: Path) -> None:
    made = trained(alpaca, keep="best", max_steps=24).outcome
    losses = dict(made.validation)
    assert (len(made.losses), made.stopped_early) == (24, False)
    assert losses[made.kept_step] == min(losses.values()) < losses[24]


@pytest.mark.parametrize(("asked", "flag"), [({"early_stopping": 1}, "--early-stopping"), ({"keep": "best"}, "--keep")])
def test_without_validation_rows_there_is_no_best(home: Path, alpaca: Path, asked: dict[str, Any], flag: str) -> None:
    with pytest.raises(UsageError, match=f"{flag}.* goes by the validation loss"):
        plan_of(alpaca, val_split=0.0, **asked)


def after(losses: Sequence[float], folder: Path, **changes: Any) -> tuple[Best, torch.nn.Module]:
    best = Best(replace(PLAN, **changes), folder / "best.safetensors", Course())
    model = torch.nn.Linear(1, 1, bias=False)
    for step, loss in enumerate(losses, start=1):
        with torch.no_grad():
            model.weight.fill_(step)
        best.validated(step, loss, model)
    return best, model


@pytest.mark.parametrize(
    ("losses", "stopped", "kept"),
    [
        ([3, 2, 1], False, 3),
        ([3, 4, 2, 2], False, 3),
        ([3, 4, 2, 2, 2], True, 3),
        ([1, 1, 1], True, 1),
        ([1, 2, 0.5, 2], False, 3),
    ],
)
def test_patience(tmp_path: Path, losses: list[float], stopped: bool, kept: int) -> None:
    best, model = after(losses, tmp_path)
    assert (best.course.stopped, best.put_back(model, len(losses))) == (stopped, kept)
    assert float(model.weight.detach()) == kept


def test_nothing_is_put_back_where_the_last_are_kept(tmp_path: Path) -> None:
    best, model = after([1, 2, 3, 4], tmp_path, keep="last", early_stopping=0)
    assert (best.course.stopped, best.put_back(model, 4), float(model.weight.detach())) == (False, 4, 4)
    assert not list(tmp_path.iterdir())


def test_a_backend_that_lets_nothing_be_validated_has_no_best(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="let nothing be validated"):
        Best(PLAN, tmp_path / "best.safetensors", Course()).put_back(SimpleNamespace(), 4)


def test_a_patience_that_no_run_has_is_told(alpaca: Path) -> None:
    def notes(patience: int) -> list[str]:
        asked = RunConfig(
            data=str(alpaca), model="tiny-mistral", max_steps=20, val_split=0.2, eval_every=10, early_stopping=patience
        )
        return [note for note in resolve(asked, registry()).notes if "--early-stopping" in note]

    assert notes(1) == []
    (said,) = notes(2)
    assert said.startswith("--early-stopping 2 cannot end this run: it has 2 validations")
