"""What LLaMA-Factory calls: weights and rates go in, steps come out, and nothing is saved."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from graftlm.api import Interrupted, RunError
from graftlm_llamafactory.callback import reporting


@dataclass
class Arguments:
    gradient_accumulation_steps: int = 2

    @property
    def should_save(self) -> bool:
        return True


class Counts:
    def tokens(self, index: int) -> int:
        return 10 * index


@dataclass
class Context:
    """Notes what it is told."""

    said: list[Any] = field(default_factory=list)
    stop: bool = False
    plan: Any = field(default_factory=lambda: SimpleNamespace(load=SimpleNamespace(name="tiny-mistral")))

    def steps(self) -> Counts:
        return Counts()

    def loaded(self, model: Any, *, packing: bool = False) -> None:
        self.said.append(("loaded", model))

    def start(self) -> None:
        self.said.append("start")

    def learning_rate(self, step: int) -> float:
        return step / 100

    def checkpoint(self) -> None:
        self.said.append("checkpoint")
        if self.stop:
            raise Interrupted("stopped")

    def stepped(self, **fields: Any) -> None:
        self.said.append(fields)


class Whole:
    def forward(self, input_ids: Any, **kwargs: Any) -> None: ...


class Own:
    def forward(self, input_ids: Any) -> None: ...


def state(step: int) -> Any:
    return SimpleNamespace(global_step=step)


def test_nothing_is_saved() -> None:
    arguments = Arguments()
    reporting(Context()).on_init_end(arguments, state(0), None)
    assert not arguments.should_save
    assert isinstance(arguments, Arguments)
    assert arguments.gradient_accumulation_steps == 2
    assert Arguments().should_save


def test_the_model_is_handed_over_and_then_the_clock_starts() -> None:
    context, model = Context(), Whole()
    reporting(context).on_train_begin(Arguments(), state(0), None, model=model)
    assert context.said == [("loaded", model), "start"]


def test_a_model_whose_loss_would_weigh_micro_batches_alike_is_refused() -> None:
    context = Context()
    with pytest.raises(RunError, match="--micro-batch that is the --batch-size"):
        reporting(context).on_train_begin(Arguments(), state(0), None, model=Own())
    assert context.said == []
    reporting(context).on_train_begin(Arguments(1), state(0), None, model=Own())
    assert context.said[-1] == "start"


def test_the_learning_rate_of_a_step_is_the_plan_s() -> None:
    optimizer = SimpleNamespace(param_groups=[{"lr": 9.0}, {"lr": 9.0}])
    reporting(Context()).on_step_begin(Arguments(), state(7), None, optimizer=optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == [0.07, 0.07]


def test_a_step_is_reported_as_it_is_logged() -> None:
    context = Context()
    callback = reporting(context)
    callback.on_log(Arguments(), state(3), None, logs={"loss": 1.23456789, "grad_norm": 2.5}, model="M")
    callback.on_log(Arguments(), state(3), None, logs={"train_runtime": 1.0}, model="M")
    assert context.said == [{"step": 2, "loss": 1.23456789, "tokens": 20, "gradient_norm": 2.5, "model": "M"}]


@pytest.mark.parametrize("moment", ["on_step_begin", "on_substep_end"])
def test_a_run_that_must_stop_stops_between_micro_batches(moment: str) -> None:
    optimizer = SimpleNamespace(param_groups=[])
    with pytest.raises(Interrupted):
        getattr(reporting(Context(stop=True)), moment)(Arguments(), state(0), None, optimizer=optimizer)
