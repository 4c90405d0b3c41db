"""What is asked of an accelerator: the gradients of plain execution, alone and together with others, and no trace left.

Plain execution is padded rows, transformers' own attention, PEFT's own layers and all logits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations
from pathlib import Path
from typing import Any, ClassVar

from graftlm.contracts.config import RunConfig
from graftlm.contracts.plan import Plan
from graftlm.contracts.specs import Accelerator
from graftlm.planning.resolve import resolve
from graftlm.running.train import carry_out
from graftlm_registry.plugins import registry

from .gaps import optional, skip_unless
from .gradients import Gradients, gradients, library_code
from .in_process import start_in_process
from .numbers import furthest, near
from .suite import Suite

PLAIN = ("sdpa", "eager")
"""Attention as transformers has it, by architecture."""
DRAWS = 3
SMALL = 1e-4
"""Of the norm of all gradients: what is smaller may be a sum that comes to zero."""


class AcceleratorSuite(Suite):
    """Subclass, and name the ``accelerators``: each is judged alone, and in every combination that a plan allows.
    ``models`` are references to tiny models.
    """

    kind = "accelerator"
    accelerators: ClassVar[tuple[str, ...]]
    models: Sequence[str] = ("tiny-mistral",)
    tolerance: ClassVar[float] = 1e-5
    """Largest relative error of a tensor's gradient in fp32."""
    rounding: ClassVar[float] = 1.5
    """In bf16: the error against fp32 over that of plain execution in bf16."""
    trajectory: ClassVar[float] = 2e-4
    """Largest difference of a step's loss from plain training, over 50 steps, in nats a token (fp32)."""
    device: ClassVar[str] = "cpu"
    options: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """By accelerator, for the plans that it is in."""

    @classmethod
    def of(cls, kind: str, name: str, **fixtures: Any) -> type[Suite]:
        return type(cls.__name__, (cls,), {"accelerators": (name,), **fixtures, "__module__": cls.__module__})

    @property
    def names(self) -> tuple[str, ...]:
        return self.accelerators

    def test_the_gradients_are_those_of_plain_execution(self) -> None:
        compared = 0
        for model in self.models:
            plain = gradients(self.plain(model), self.folder)
            for plan, names in self.allowed(model):
                found = gradients(plan, self.folder)
                self.equal(found, plain, f"{'+'.join(names)} on {_short(model)}")
                near_by = near(found.loss, plain.loss, rel=self.tolerance)
                assert near_by, f"the loss of {'+'.join(names)} is {found.loss:.7g}, and the plain one {plain.loss:.7g}"
                compared += 1
        assert compared, f"no plan allows {'+'.join(self.accelerators)} on any of the models: {self.refused()}"

    def test_in_bf16_they_are_as_near_to_fp32_as_plain_execution(self) -> None:
        """Over several draws: in one alone, an expert that is chosen otherwise weighs more than all rounding."""
        compared = 0
        for model in self.models:
            exact = [gradients(self.plain(model), self.folder, draw) for draw in range(DRAWS)]

            def error(plan: Plan, exact: Sequence[Gradients] = exact) -> float:
                found = [gradients(plan, self.folder, draw).whole_error(exact[draw]) for draw in range(DRAWS)]
                return float(sum(each**2 for each in found) ** 0.5)

            plain = error(self.plain(model, dtype="bf16"))
            for plan, names in self.allowed(model, dtype="bf16"):
                found, compared = error(plan), compared + 1
                assert found <= self.rounding * plain, (
                    f"in bf16 the gradients of {'+'.join(names)} on {_short(model)} are {found:.2g} from fp32's, and "
                    f"those of plain execution {plain:.2g}: {found / plain:.1f} times as far"
                )
        skip_unless(compared, f"no plan allows it in bf16: {self.refused(dtype='bf16')}")

    def test_it_does_what_it_says(self) -> None:
        """While it is in force something computes otherwise: what it says that it did is no proof that it did it."""
        specs = [registry().get(Accelerator, name) for name in self.accelerators]
        patching = [spec.name for spec in specs if spec.patches or spec.loss]
        skip_unless(patching, "it has no patch and no loss: it asks transformers for an attention alone")
        for model in self.models:
            plain = gradients(self.plain(model), self.folder)
            for name in patching:
                plan = self._plan(model, (name,))
                if plan.problems:
                    continue
                found = gradients(plan, self.folder)
                said = ", ".join(f"{what}: {much}" for what, much in found.happened[name].items())
                did = any(found.happened[name].values())
                assert did, (
                    f"{name} on {_short(model)} says that it did nothing ({said}): refuse the plan, or the model"
                )
                assert found.other_than(plain), (
                    f"{name} on {_short(model)} says that it did something ({said}), and nothing computes otherwise "
                    "than in plain execution"
                )

    @optional
    def test_a_base_s_own_weights_have_the_gradients_of_plain_execution(self) -> None:
        """Where the base is trained itself; most gradients of it are not needed for an adapter."""
        compared = 0
        for model in self.models[:1]:
            for plan, names in self.largest(model, method="full"):
                plain = gradients(self.plain(model, method="full"), self.folder)
                who = f"{'+'.join(names)} with --method full on {_short(model)}"
                self.equal(gradients(plan, self.folder), plain, who, least=SMALL)
                compared += 1
        skip_unless(compared, "no plan allows it where the base itself is trained")

    def test_checkpointing_changes_no_gradient(self) -> None:
        compared = 0
        for model in self.models:
            plain = gradients(self.plain(model), self.folder)
            for plan, names in self.largest(model, gradient_checkpointing=True):
                who = f"{'+'.join(names)} with checkpointing on {_short(model)}"
                self.equal(gradients(plan, self.folder), plain, who)
                compared += 1
        skip_unless(compared, f"no plan allows it with checkpointing: {self.refused(gradient_checkpointing=True)}")

    def test_fifty_steps_go_the_same_way(self) -> None:
        model = self.models[0]
        asked = {"max_steps": 50, "learning_rate": 2e-3}
        allowed = self.largest(model, **asked)
        skip_unless(allowed, f"no plan allows it: {self.refused(**asked)}")
        plain = _losses(self.plain(model, **asked))
        for plan, names in allowed:
            found = _losses(plan)
            assert near(found, plain, abs=self.trajectory), (
                f"over 50 steps {'+'.join(names)} leaves the losses of plain training by {furthest(found, plain)}"
            )

    def test_nothing_of_it_is_left_afterwards(self) -> None:
        for model in self.models:
            plain = gradients(self.plain(model), self.folder)
            for plan, names in self.allowed(model):
                before = library_code()
                left = gradients(plan, self.folder).left
                after = library_code()
                who = f"{'+'.join(names)} on {_short(model)}"
                changed = [what for what in before if after.get(what) != before[what]]
                assert not changed, f"{who} did not restore {', '.join(changed[:3])}"
                more = sorted(left - plain.left)
                assert not more, f"{who} left something on the model: {', '.join(more[:3])}"

    def equal(self, found: Gradients, plain: Gradients, who: str, least: float = 0.0) -> None:
        """The gradients, tensor by tensor; ``least`` as in ``Gradients.error``."""
        lost = plain.tensors.keys() ^ found.tensors.keys()
        assert not lost, f"{who} has no gradient, or another one, of {', '.join(sorted(lost)[:3])}"
        error = found.error(plain, least)
        assert error <= self.tolerance, (
            f"the gradients of {who} are not those of plain execution: a relative error of {error:.2g} in a tensor; "
            f"{self.tolerance:.2g} is allowed"
        )

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

    def refused(self, **settings: Any) -> str:
        """Why no plan has them all on the first model."""
        return "; ".join(self._plan(self.models[0], self.accelerators, **settings).problems)

    def _plan(self, model: str, accelerators: Sequence[str], **settings: Any) -> Plan:
        self.needs_it_to_run()
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


def _short(model: str) -> str:
    return Path(model).name


def _losses(plan: Plan) -> tuple[float, ...]:
    return carry_out(plan, registry(), lambda event: None, start=start_in_process).outcome.losses
