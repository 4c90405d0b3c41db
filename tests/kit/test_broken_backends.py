"""What is wrong with a backend is found by its suite, and said."""

from __future__ import annotations

import pytest
from broken import Fault, is_caught
from common_faults import common_faults

LOSSES, MICRO, SAME, LEARNS, CHECKPOINTS, STOPS = (
    "test_the_losses_are_the_reference_s_step_for_step",
    "test_micro_batches_of_one_give_the_losses_of_eight",
    "test_the_same_plan_gives_the_same_adapter",
    "test_it_learns_and_leaves_the_base_alone",
    "test_checkpointing_is_on_where_it_is_asked_for_and_changes_no_loss",
    "test_a_stopped_run_goes_on_to_the_same_adapter",
)
RATE, LOSS, LOAD = (
    "context.set_learning_rate(optimizer, step.index)",
    "loss = context.loss(model, batch) / step.trained",
    "model = context.load()",
)
OPTIMIZER, REPORT = "optimizer = context.optimizer(model)", "context.stepped(step=step.index, loss=total,"
OTHER = ("are not those of transformers and PEFT alone",)
STEP, ZERO = "            optimizer.step()\n", "            optimizer.zero_grad()\n"
EARLY = "            if step.index == 3:\n                return\n"
NOISY = "            trained[0].data += 1e-4 * torch.rand((), generator=noise)\n"
NOISE = "\n        noise = torch.Generator()\n        noise.seed()\n"
FROZEN = "next(p for p in model.parameters() if not p.requires_grad)"
ADAMW = "optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], weight_decay=0.0)"
FAULTS = (
    *common_faults("backend", "peft"),
    Fault("it ignores the learning rate", {RATE: "pass"}, LOSSES, OTHER),
    Fault(
        "it ignores the plan's optimizer",
        {OPTIMIZER: "optimizer = torch.optim.SGD(model.parameters(), 1e-3)", RATE: "pass"},
        LOSSES,
        OTHER,
    ),
    Fault("it does not clip", {"context.plan.training.max_grad_norm": "1e9"}, LOSSES, OTHER),
    Fault("it adds up gradients over steps", {ZERO: ""}, LOSSES, OTHER),
    Fault(
        "it trains on prompts",
        {LOSS: "loss = model(**batch.inputs(context.device), labels=batch.ids).loss"},
        LOSSES,
        OTHER,
    ),
    Fault(
        "it tells other losses than it had", {REPORT: REPORT.replace("loss=total", "loss=total * 1.001")}, LOSSES, OTHER
    ),
    Fault(
        "it takes a part of each step's rows",
        {"for batch in step.batches:": "for batch in step.batches[:1]:"},
        MICRO,
        ("micro-batches of one",),
    ),
    Fault(
        "it weighs rows by their micro-batch",
        {LOSS: "loss = context.loss(model, batch) / batch.trained / len(step.batches)"},
        MICRO,
        ("micro-batches of one",),
    ),
    Fault("it stops early", {ZERO: ZERO + EARLY}, LOSSES, ("planned steps were trained",)),
    Fault("it tells no step", {REPORT: "dict(step=step.index, loss=total,"}, LOSSES, ("planned steps were trained",)),
    Fault(
        "it is never twice the same",
        {STEP: STEP + NOISY, "        import torch\n": "        import torch\n" + NOISE},
        SAME,
        ("trained twice",),
    ),
    Fault(
        "it changes the base",
        {OPTIMIZER: f"{FROZEN}.data += 1e-3\n        {OPTIMIZER}"},
        LEARNS,
        ("training changed the base", "embed_tokens"),
    ),
    Fault("it does not learn", {STEP: ""}, LEARNS, ("the adapter changes nothing",)),
    Fault(
        "it turns checkpointing off",
        {LOAD: f"{LOAD}\n        model.gradient_checkpointing_disable()"},
        CHECKPOINTS,
        ("the plan says gradient checkpointing True", "the backend changed it to False"),
    ),
    Fault(
        "it goes on without its optimizer's state",
        {OPTIMIZER: ADAMW, RATE: "optimizer.param_groups[0]['lr'] = context.learning_rate(step.index)"},
        STOPS,
        ("gone on with", "leave those of the run never stopped"),
    ),
    Fault(
        "it says that it goes on, and begins again",
        {"for step in context.steps():": "for step in map(context.steps().__getitem__, range(len(context.steps()))):"},
        STOPS,
        ("the backend reported step 1 after step 3",),
    ),
)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_of_a_backend_is_caught(fault: Fault) -> None:
    is_caught("backend", fault)
