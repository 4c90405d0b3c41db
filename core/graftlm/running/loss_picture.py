"""The losses and the learning rate of a run as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from graftlm.contracts.outcome import Outcome
from graftlm.contracts.plan import Plan

NAMES = ("loss.png", "loss.svg")


def save_loss_picture(plan: Plan, outcome: Outcome, rates: Sequence[float], run: Path) -> None:
    """Write ``RUN/loss.png`` and ``loss.svg``: training and validation loss by step, on a logarithmic scale, with the
    steps that stand out; and below it the learning rate, one a step.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    axes.plot(range(1, len(outcome.losses) + 1), outcome.losses, color="#4477aa", linewidth=1.2, label="training")
    if outcome.validation:
        axes.plot(*zip(*outcome.validation, strict=True), color="#cc6677", marker="o", markersize=4, label="validation")
    if outcome.spikes:
        places = [(spike.step, spike.loss) for spike in outcome.spikes]
        axes.plot(*zip(*places, strict=True), "x", color="#aa3377", markersize=7, label="stands out")
    for i, step in enumerate(outcome.resumed):
        axes.axvline(step, color="#999999", linewidth=0.8, linestyle=":", label=None if i else "gone on from here")
    axes.set_yscale("log")
    axes.set(ylabel="loss (nats a token)")
    axes.set_title(f"{plan.name}: {plan.method.name} on {plan.model.name} with {plan.part('backend').name}")
    axes.legend(frameon=False)
    below.plot(range(1, len(rates) + 1), rates, color="#228833", linewidth=1.2)
    below.set(xlabel="optimizer step", ylabel="learning rate")
    below.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    for each in (axes, below):
        each.spines[["top", "right"]].set_visible(False)
        each.grid(alpha=0.25)
    with rc_context({"svg.hashsalt": plan.hash, "svg.fonttype": "none"}):
        for name in NAMES:
            figure.savefig(run / name, dpi=144, metadata={"Date": None} if name.endswith("svg") else None)
