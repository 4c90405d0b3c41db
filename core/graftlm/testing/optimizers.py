"""What is asked of an optimizer: steps of the trainer's rate, and a state that can be kept, as large as it says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from graftlm.contracts.errors import GraftlmError

from .gaps import optional, skip_unless
from .numbers import near
from .option_values import another
from .short_runs import plan, trained

if TYPE_CHECKING:
    import torch

from .stepping import KINDS, SMALL, SteppingSuite


class OptimizerSuite(SteppingSuite):
    """Subclass and name the ``optimizer``. ``learning_rate`` is one with which small models learn quickly."""

    def test_it_is_torch_s_and_keeps_the_groups(self) -> None:
        """Each group with the parameters, the rate and whatever else it came with."""
        import torch

        parameters = self.parameters()
        rates = (self.learning_rate, 4 * self.learning_rate)
        groups = [
            {"params": [parameters[0], parameters[2]], "lr": rates[0], "scale": 1.0},
            {"params": [parameters[1]], "lr": rates[1], "scale": 4.0},
        ]
        wanted = [list(map(id, group["params"])) for group in groups if isinstance(group["params"], list)]
        made = self.made(groups)
        who = f"optimizer '{self.optimizer}'"
        assert isinstance(made, torch.optim.Optimizer), f"{who} makes a {type(made).__name__}, no torch.optim.Optimizer"
        found = [list(map(id, group["params"])) for group in made.param_groups]
        assert found == wanted, f"{who} has other parameter groups than it was given"
        for group, rate, scale in zip(made.param_groups, rates, (1.0, 4.0), strict=True):
            assert group["lr"] == rate, f"{who} has the rate {group['lr']} in a group that was given {rate}"
            assert group.get("scale") == scale, f"{who} lost what its groups came with: their 'scale' is gone"

    def test_it_follows_the_rate_of_each_step(self) -> None:
        """With a rate of 0 it stands still, and a group with four times the rate goes four times as far."""
        import torch

        parameters = [parameter for _ in range(2) for parameter in self.parameters()[:1]]
        rate = self.learning_rate
        groups = [{"params": [p], "lr": rate * scale} for p, scale in zip(parameters, (1.0, 4.0), strict=True)]
        made = self.made(groups)
        before = [parameter.detach().clone() for parameter in parameters]
        for group in made.param_groups:
            group["lr"] = 0.0
        self.gradients(parameters[:1], 0)
        self.gradients(parameters[1:], 0)
        made.step()
        for was, parameter in zip(before, parameters, strict=True):
            moved = float((parameter.detach() - was).abs().max())
            assert torch.equal(was, parameter), (
                f"optimizer '{self.optimizer}' moves by {moved:.2g} where the trainer set the rate of the step to 0: "
                "it must take the rate from its groups in each step"
            )
        for group, scale in zip(made.param_groups, (1.0, 4.0), strict=True):
            group["lr"] = rate * scale
        made.step()
        far = [float((p.detach() - was).norm()) for was, p in zip(before, parameters, strict=True)]
        assert far[0] > 0, f"optimizer '{self.optimizer}' does not move at the rate {rate}"
        assert near(far[1] / far[0], 4.0, rel=0.1), (
            f"a group with four times the rate of another goes {far[1] / far[0]:.3g} times as far under optimizer "
            f"'{self.optimizer}', and must go four times as far"
        )

    def test_weight_decay_pulls_towards_zero(self) -> None:
        """Without it nothing moves where gradients are none; or it is refused in a sentence, and not passed over."""
        import torch

        plain = self.parameters()
        self.still(self.made(plain, rate=0.1), plain)
        for was, parameter in zip(self.parameters(), plain, strict=True):
            assert torch.equal(was, parameter), (
                f"optimizer '{self.optimizer}' moves parameters whose gradients are all zero, without weight decay"
            )
        decayed = self.parameters()
        try:
            made = self.made(decayed, rate=0.1, weight_decay=0.5)
        except GraftlmError:
            return
        self.still(made, decayed)
        for was, parameter in zip(self.parameters(), decayed, strict=True):
            share = float(parameter.detach().norm() / was.detach().norm())
            assert share < 0.97, (
                f"a weight decay of 0.5 does nothing under optimizer '{self.optimizer}': after three steps at the rate "
                f"0.1 a parameter has {share:.0%} of its size"
            )

    def still(self, made: torch.optim.Optimizer, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Three steps with gradients of zero."""
        for step in range(3):
            self.gradients(parameters, step, 0.0)
            made.step()

    def test_a_parameter_without_a_gradient_stays(self) -> None:
        import torch

        parameters = self.parameters()
        before = parameters[1].detach().clone()
        made = self.made(parameters, weight_decay=0.1)
        self.gradients(parameters, 0)
        parameters[1].grad = None
        made.step()
        assert torch.equal(before, parameters[1]), (
            f"optimizer '{self.optimizer}' moves a parameter that has no gradient: no sample reached it"
        )

    def test_a_run_that_goes_on_is_the_same_to_the_last_bit(self) -> None:
        """Its state goes through a checkpoint, which keeps tensors and JSON, into another optimizer."""
        import torch

        from graftlm.worker.states import Packing, unpacked

        whole = self.parameters()
        self.walk(self.made(whole), whole, range(8))
        first = self.parameters()
        made = self.made(first)
        self.walk(made, first, range(4))
        packing = Packing()
        said = json.loads(json.dumps(packing.packed(made.state_dict(), f"the state of '{self.optimizer}'")))
        later = [torch.nn.Parameter(parameter.detach().clone()) for parameter in first]
        again = self.made(later)
        again.load_state_dict(unpacked(said, {name: tensor.clone() for name, tensor in packing.tensors.items()}))
        self.walk(again, later, range(4, 8))
        for wanted, found in zip(whole, later, strict=True):
            apart = float((wanted - found).detach().abs().max())
            assert torch.equal(wanted, found), (
                f"a run of optimizer '{self.optimizer}' that is gone on with differs from one that was never stopped, "
                f"by {apart:.2g}: what it keeps from step to step must be in self.state, or in its groups"
            )

    def test_it_keeps_as_much_as_it_says(self) -> None:
        """``state_bytes`` of each parameter, within a quarter."""
        import torch

        parameters = [parameter for _ in range(4) for parameter in self.parameters()[:2]]
        made = self.made(parameters)
        self.walk(made, parameters, range(2))
        tensors = {
            value.data_ptr(): value.nbytes
            for state in made.state.values()
            for value in state.values()
            if torch.is_tensor(value) and value.numel()
        }
        count = sum(parameter.numel() for parameter in parameters)
        found, said = sum(tensors.values()), self.spec.state_bytes
        small = SMALL * len(parameters) + 4096  # and maps of codes that all of them share
        assert 0.75 * said * count - small <= found <= 1.25 * said * count + small, (
            f"optimizer '{self.optimizer}' says that it keeps {said:g} bytes a parameter (state_bytes), and keeps "
            f"{found / count:.2f}: a plan that reckons with it is wrong"
        )

    def test_no_gradient_makes_it_leave_the_numbers(self) -> None:
        """Of zero, tiny, usual and huge ones, one after the other."""
        import torch

        for order in (tuple(KINDS), tuple(reversed(KINDS))):
            parameters = self.parameters()
            made = self.made(parameters)
            for step, kind in enumerate(order):
                self.gradients(parameters, step, KINDS[kind])
                made.step()
                for parameter in parameters:
                    assert bool(torch.isfinite(parameter).all()), (
                        f"optimizer '{self.optimizer}' makes a parameter infinite or no number where gradients are "
                        f"{kind} ({KINDS[kind]:g}), after {', '.join(order[:step]) or 'none before'}"
                    )

    def test_the_same_steps_give_the_same_bits(self) -> None:
        import torch

        one, other = self.walked(), self.walked()
        assert all(map(torch.equal, one, other)), (
            f"optimizer '{self.optimizer}' gives other bits from one time to the next: what it draws must come from "
            "torch's seeded generator"
        )

    def test_it_solves_least_squares(self) -> None:
        """In every precision that it says it takes."""
        for dtype in self.dtypes:
            losses = self.least_squares(dtype)
            assert losses[-1] < 0.1 * losses[0], (
                f"optimizer '{self.optimizer}' does not solve a small problem of least squares in {dtype}: from "
                f"{losses[0]:.3g} to {losses[-1]:.3g} in {len(losses)} steps at the rate {self.learning_rate}"
            )

    @optional
    def test_every_option_does_something(self) -> None:
        import torch

        skip_unless(self.spec.options, "it has no options")
        plain = self.walked(at=0.0)
        for option in self.spec.options:
            value = self.others.get(option.name, another(option))
            if value is None:  # none can be guessed
                continue
            found = self.walked(at=0.0, **{option.name: value})
            same = all(map(torch.equal, plain, found))
            assert not same, (
                f"--set optimizer.{option.name}={value} gives the steps of the default {option.default!r}: optimizer "
                f"'{self.optimizer}' passes it over (or 'others' must name a value that makes a difference)"
            )

    def test_a_whole_run_learns_with_it(self) -> None:
        """And the run's record says that it was this one that stepped."""
        made = self.made(self.parameters())
        asked = {"optimizer": self.optimizer, "learning_rate": self.learning_rate}
        outcome = trained(plan(self.folder, options={"optimizer": dict(self.options)}, **asked)).outcome
        assert outcome.losses[-1] < 0.7 * outcome.losses[0], (
            f"tiny-mistral does not learn with optimizer '{self.optimizer}' at the rate {self.learning_rate}: its loss "
            f"is {outcome.losses[0]:.3g} in the first step and {outcome.losses[-1]:.3g} in the last of "
            f"{len(outcome.losses)}"
        )
        wanted = f"{type(made).__module__}.{type(made).__qualname__}"
        assert outcome.effective.optimizer == wanted, (
            f"the run says that {outcome.effective.optimizer or 'nothing'} stepped, and not {wanted}"
        )
