"""Faults of an optimizer, each caught by the check that asks for it."""

from __future__ import annotations

import pytest
from broken import Fault, is_caught
from common_faults import common_faults

MADE = """    return torch.optim.NAdam(
        groups,
        lr=learning_rate,
        betas=(options["beta1"], options["beta2"]),
        weight_decay=weight_decay,
        decoupled_weight_decay=True,
    )
"""
OWN = """    class Own(torch.optim.Optimizer):
        def __init__(self):
            super().__init__(groups, {"lr": learning_rate, "weight_decay": weight_decay})
            self.momentum = {}

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is None and not ALWAYS:
                        continue
                    g = torch.ones_like(p) if p.grad is None else p.grad
                    STEP

    return Own()
"""


def own(step: str, *, always: bool = False) -> dict[str, str]:
    """Steps of one's own in the place of torch's, with all options in use."""
    used = '    uses = (options["beta1"], options["beta2"])\n'
    return {MADE: used + OWN.replace("STEP", step).replace("ALWAYS", str(always))}


PLAIN = 'p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(g, alpha=group["lr"] * uses[0] * uses[1])'
FAULTS = (
    *common_faults("optimizer", "adamw"),
    Fault(
        "it is no optimizer of torch's",
        {MADE: "    return [group['params'] for group in groups]\n"},
        "test_it_is_torch_s_and_keeps_the_groups",
        ("makes a list", "no torch.optim.Optimizer"),
    ),
    Fault(
        "one group of all",
        {"        groups,\n": "        [p for group in groups for p in group['params']],\n"},
        "test_it_is_torch_s_and_keeps_the_groups",
        ("other parameter groups",),
    ),
    Fault(
        "a fixed rate",
        own(PLAIN.replace('group["lr"]', "learning_rate")),
        "test_it_follows_the_rate_of_each_step",
        ("set the rate of the step to 0", "take the rate from its groups"),
    ),
    Fault(
        "weight decay is passed over",
        {"weight_decay=weight_decay": "weight_decay=0.0"},
        "test_weight_decay_pulls_towards_zero",
        ("weight decay of 0.5 does nothing",),
    ),
    Fault(
        "what has no gradient moves",
        own(PLAIN, always=True),
        "test_a_parameter_without_a_gradient_stays",
        ("moves a parameter that has no gradient",),
    ),
    Fault(
        "momentum outside of its state",
        own(f"g = self.momentum[p] = g + uses[0] * self.momentum.get(p, 0); {PLAIN}"),
        "test_a_run_that_goes_on_is_the_same_to_the_last_bit",
        ("gone on with differs", "self.state"),
    ),
    Fault(
        "a state that no checkpoint can keep",
        own(f"self.state[p]['made'] = object(); {PLAIN}"),
        "test_a_run_that_goes_on_is_the_same_to_the_last_bit",
        ("a checkpoint cannot keep", "object"),
    ),
    Fault(
        "half of its state",
        {"state_bytes=8.0": "state_bytes=4.0"},
        "test_it_keeps_as_much_as_it_says",
        ("says that it keeps 4 bytes a parameter", "keeps 8"),
    ),
    Fault(
        "squares that run over",
        own(f"g = g / g.square().sum(); {PLAIN}"),
        "test_no_gradient_makes_it_leave_the_numbers",
        ("infinite or no number", "gradients are none"),
    ),
    Fault(
        "chance",
        own("import random; g = g * random.SystemRandom().random(); " + PLAIN),
        "test_the_same_steps_give_the_same_bits",
        ("gives other bits from one time to the next",),
    ),
    Fault(
        "uphill",
        own(PLAIN.replace(".sub_(", ".add_(")),
        "test_it_solves_least_squares",
        ("does not solve a small problem of least squares in fp32",),
    ),
    Fault(
        "an option that does nothing",
        {'options["beta2"]': "0.999"},
        "test_every_option_does_something",
        ("--set optimizer.beta2=", "passes it over"),
    ),
    Fault(
        "far too slow",
        {"learning_rate = 3e-3": "learning_rate = 1e-7"},
        "test_a_whole_run_learns_with_it",
        ("tiny-mistral does not learn", "at the rate 1e-07"),
    ),
)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_is_caught(fault: Fault) -> None:
    is_caught("optimizer", fault)
