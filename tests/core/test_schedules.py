"""Learning rates over the steps of a run."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graftlm.contracts.config import SETTINGS
from graftlm.contracts.plan import TrainingPlan
from graftlm.worker.schedule import SHARES, learning_rate

PLAN = TrainingPlan(
    epochs=2, steps=40, batch_size=4, micro_batch=2, learning_rate=0.01, schedule="cosine", warmup_steps=6,
    weight_decay=0, max_grad_norm=1, seed=5, eval_every=5,
)  # fmt: skip
PLANS = st.builds(
    lambda steps, warmup, schedule, rate: replace(
        PLAN, steps=steps, warmup_steps=min(warmup, steps - 1), schedule=schedule, learning_rate=rate
    ),
    st.integers(1, 400),
    st.integers(0, 100),
    st.sampled_from(sorted(SHARES)),
    st.floats(1e-6, 1.0),
)
LAST = {"cosine": 0, "linear": 0, "polynomial": 0, "wsd": 0, "cosine-with-min": 0.1, "constant": 1}
"""The share of the peak that the rate has come to when the last step is done."""


def test_every_choice_is_a_schedule() -> None:
    assert set(SETTINGS["schedule"]["choices"]) == set(SHARES)


@given(PLANS)
def test_it_warms_up_in_a_line_and_never_rises_again(plan: TrainingPlan) -> None:
    rates = [learning_rate(step, plan) for step in range(plan.steps + 1)]
    warmup, peak = plan.warmup_steps, plan.learning_rate
    assert all(0 <= rate <= peak * (1 + 1e-12) for rate in rates)
    assert rates[:warmup] == pytest.approx([peak * step / warmup for step in range(warmup)])
    assert rates[warmup] == pytest.approx(peak)
    after = rates[warmup:]
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in pairwise(after))


@given(PLANS)
def test_it_ends_where_it_should(plan: TrainingPlan) -> None:
    share = learning_rate(plan.steps, plan) / plan.learning_rate
    if plan.schedule == "inverse-sqrt":
        assert 0 < share < 1
    else:
        assert share == pytest.approx(LAST[plan.schedule], abs=1e-12)


def test_wsd_stays_for_four_fifths() -> None:
    plan = replace(PLAN, schedule="wsd")
    rates = [learning_rate(step, plan) / plan.learning_rate for step in range(6, 40)]
    assert rates == pytest.approx([1.0] * 27 + [1 - part / 8 for part in range(1, 8)])


@pytest.mark.parametrize("warmup", [0, 6])
@pytest.mark.parametrize("schedule", SHARES)
def test_they_are_transformers_own_formulas(schedule: str, warmup: int) -> None:
    from transformers import optimization as theirs

    steps: dict[str, Any] = {"num_training_steps": PLAN.steps}
    made = {
        "cosine": partial(theirs.get_cosine_schedule_with_warmup, **steps),
        "linear": partial(theirs.get_linear_schedule_with_warmup, **steps),
        "constant": theirs.get_constant_schedule_with_warmup,
        "inverse-sqrt": theirs.get_inverse_sqrt_schedule,
        "polynomial": partial(theirs.get_polynomial_decay_schedule_with_warmup, power=2.0, lr_end=0.0, **steps),
        "cosine-with-min": partial(theirs.get_cosine_with_min_lr_schedule_with_warmup, min_lr_rate=0.1, **steps),
        "wsd": partial(theirs.get_wsd_schedule, num_decay_steps=8, decay_type="linear", **steps),
    }[schedule]
    plan = replace(PLAN, schedule=schedule, warmup_steps=warmup)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=plan.learning_rate)
    scheduler = made(optimizer, num_warmup_steps=warmup)
    for step in range(plan.steps):
        assert learning_rate(step, plan) == pytest.approx(scheduler.get_last_lr()[0]), step
        optimizer.step()
        scheduler.step()
