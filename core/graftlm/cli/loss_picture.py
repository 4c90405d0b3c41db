"""The losses of a run as a picture."""

from __future__ import annotations

from pathlib import Path

from graftlm.contracts.outcome import Outcome
from graftlm.contracts.plan import Plan


def save_loss_picture(plan: Plan, outcome: Outcome, run: Path) -> None:
    """Write ``RUN/loss.png``: training and validation loss by step, on a logarithmic scale."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    steps = range(1, len(outcome.losses) + 1)
    axes.plot(steps, outcome.losses, color="#4477aa", linewidth=1.2, label="training")
    if outcome.validation:
        axes.plot(*zip(*outcome.validation, strict=True), color="#cc6677", marker="o", markersize=4, label="validation")
    axes.set_yscale("log")
    axes.set(xlabel="optimizer step", ylabel="loss (nats a token)")
    axes.set_title(f"{plan.name}: {plan.method.name} on {plan.model.name} with {plan.part('backend').name}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    figure.savefig(run / "loss.png", dpi=144)
