"""What is asked of an accelerator: the gradients of plain execution, alone and together with others, and no trace left.

Plain execution is padded rows, transformers' own attention, PEFT's own layers and all logits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations
from pathlib import Path
from typing import Any, ClassVar

import pytest

from graftlm.contracts.config import RunConfig
from graftlm.contracts.plan import Plan
from graftlm.planning.resolve import resolve
from graftlm.running.train import carry_out
from graftlm_registry.plugins import registry

from .gradients import Gradients, gradients, library_code
from .in_process import start_in_process

PLAIN = ("sdpa", "eager")
"""Attention as transformers has it, by architecture."""
DRAWS = 3


class AcceleratorSuite:
    """Subclass, name the ``accelerators``, and give ``models``: tiny ones, references by name."""

    accelerators: ClassVar[tuple[str, ...]]
    tolerance: ClassVar[float] = 1e-5
    """Largest relative error of a tensor's gradient in fp32."""
    rounding: ClassVar[float] = 1.5
    """In bf16: the error against fp32 over that of plain execution in bf16."""
    trajectory: ClassVar[float] = 2e-4
    """Largest difference of a step's loss from plain training, over 50 steps, in nats a token (fp32)."""
    device: ClassVar[str] = "cpu"
    options: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """By accelerator, for the plans that it is in."""

    @pytest.fixture
    def models(self) -> Mapping[str, str]:
        return {"tiny-mistral": "tiny-mistral"}

    @pytest.fixture(autouse=True)
    def _home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GRAFTLM_HOME", str(tmp_path / "graftlm"))
        self.folder = tmp_path

    def test_the_gradients_are_those_of_plain_execution(self, models: Mapping[str, str]) -> None:
        compared = 0
        for name, model in models.items():
            plain = gradients(self.plain(model), self.folder)
            for plan, names in self.allowed(model):
                found = gradients(plan, self.folder)
                assert found.error(plain) <= self.tolerance, (name, names)
                assert found.loss == pytest.approx(plain.loss, rel=self.tolerance), (name, names)
                compared += 1
        assert compared, "no plan allows these accelerators on any of the models"

    def test_in_bf16_they_are_as_near_to_fp32_as_plain_execution(self, models: Mapping[str, str]) -> None:
        """Over several draws: in one alone, an expert that is chosen otherwise weighs more than all rounding."""
        for name, model in models.items():
            exact = [gradients(self.plain(model), self.folder, draw) for draw in range(DRAWS)]

            def error(plan: Plan, exact: Sequence[Gradients] = exact) -> float:
                found = [gradients(plan, self.folder, draw).whole_error(exact[draw]) for draw in range(DRAWS)]
                return float(sum(each**2 for each in found) ** 0.5)

            plain = error(self.plain(model, dtype="bf16"))
            for plan, names in self.allowed(model, dtype="bf16"):
                assert error(plan) <= self.rounding * plain, (name, names)

    def test_checkpointing_changes_no_gradient(self, models: Mapping[str, str]) -> None:
        for name, model in models.items():
            plain = gradients(self.plain(model), self.folder)
            for plan, names in self.largest(model, gradient_checkpointing=True):
                assert gradients(plan, self.folder).error(plain) <= self.tolerance, (name, names)

    def test_fifty_steps_go_the_same_way(self, models: Mapping[str, str]) -> None:
        name, model = next(iter(models.items()))
        asked = {"max_steps": 50, "learning_rate": 2e-3}
        plain = _losses(self.plain(model, **asked))
        for plan, names in self.largest(model, **asked):
            assert _losses(plan) == pytest.approx(plain, abs=self.trajectory), (name, names)

    def test_nothing_of_it_is_left_afterwards(self, models: Mapping[str, str]) -> None:
        for name, model in models.items():
            plain = gradients(self.plain(model), self.folder)
            for plan, names in self.allowed(model):
                before = library_code()
                left = gradients(plan, self.folder).left
                after = library_code()
                assert [what for what in before if after.get(what) != before[what]] == [], (name, names)
                assert left == plain.left, (name, names)

    def plain(self, model: str, **settings: Any) -> Plan:
        plans = [self._plan(model, (attention,), **settings) for attention in PLAIN]
        return next(plan for plan in plans if not plan.problems)

    def allowed(self, model: str, **settings: Any) -> Iterator[tuple[Plan, tuple[str, ...]]]:
        """Every combination that the plan has nothing against, the largest first."""
        sizes = range(len(self.accelerators), 0, -1)
        for names in chain.from_iterable(combinations(self.accelerators, size) for size in sizes):
            plan = self._plan(model, names, **settings)
            if not plan.problems:
                yield plan, names

    def largest(self, model: str, **settings: Any) -> list[tuple[Plan, tuple[str, ...]]]:
        """The first of them alone, or none."""
        return [pair for pair in [next(self.allowed(model, **settings), None)] if pair is not None]

    def _plan(self, model: str, accelerators: Sequence[str], **settings: Any) -> Plan:
        data = self.folder / "rows.jsonl"
        if not data.is_file():
            rows = ({"input": f"Say {'very ' * (i % 7)}{i}", "output": f"{i}{'!' * (i % 4)}"} for i in range(30))
            data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        asked: dict[str, Any] = {
            "max_steps": 4, "batch_size": 8, "micro_batch": 4, "dtype": "fp32", "device": self.device,
            "retention": False, "val_split": 0.0, "test_split": 0.0, "seed": 3, **settings,
        }  # fmt: skip
        if options := {k: v for name in accelerators for k, v in self.options.get(name, {}).items()}:
            asked["options"] = {"accelerator": options}
        return resolve(RunConfig(data=str(data), model=model, accelerator="+".join(accelerators), **asked), registry())


def _losses(plan: Plan) -> tuple[float, ...]:
    return carry_out(plan, registry(), lambda event: None, start=start_in_process).outcome.losses
