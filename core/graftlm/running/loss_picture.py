"""The losses and the learning rate of a run as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graftlm.contracts.outcome import Outcome
from graftlm.contracts.plan import Plan

from .curves import extremes, running_median

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = ("loss.png", "loss.svg")
TRAINING, VALIDATION, SPIKE, RATE, MARK = "#4477aa", "#cc6677", "#aa3377", "#228833", "#777777"
"""Paul Tol's, which people who see few colours can tell apart."""
FEW = 40
"""Steps that are shown one by one."""
NOISY = 200
"""Steps from which on a running median is drawn over the losses themselves."""
DPI = 110


def save_loss_picture(plan: Plan, outcome: Outcome, rates: Sequence[float], run: Path) -> None:
    """Write ``RUN/loss.png`` and ``loss.svg``: training and validation loss by step, with the steps that stand out,
    those after which the run was gone on with, and that whose weights are kept; below, the learning rate, one a step.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with rc_context({"svg.hashsalt": plan.hash, "svg.fonttype": "none"}):
        figure = Figure(figsize=(8, 5.2))
        figure.subplots_adjust(left=0.095, right=0.975, top=0.93, bottom=0.1, hspace=0.12)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        what = f"{plan.method.name} on {plan.model.name} with {plan.part('backend').name}"
        above.set_title(f"{outcome.adapter or plan.name}: {what}", loc="left", fontsize=11)
        _draw_losses(above, outcome)
        below.plot(*extremes(rates), color=RATE, linewidth=1.4, marker="o" if len(rates) <= FEW else "", markersize=3)
        below.set(xlabel="optimizer step", ylabel="learning rate")
        below.set_ylim(bottom=0)
        below.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        below.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        beside = max(0.5, len(outcome.losses) / 50)
        below.set_xlim(1 - beside, len(outcome.losses) + beside)
        for each in (above, below):
            each.spines[["top", "right"]].set_visible(False)
            each.grid(alpha=0.25)
        for name in NAMES:
            figure.savefig(run / name, dpi=DPI, metadata={"Date": None} if name.endswith("svg") else None)


def _draw_losses(axes: Axes, outcome: Outcome) -> None:
    losses, noisy = outcome.losses, len(outcome.losses) >= NOISY
    axes.plot(
        *extremes(losses), color=TRAINING, linewidth=0.7 if noisy else 1.4, alpha=0.4 if noisy else 1,
        marker="o" if len(losses) <= FEW else "", markersize=3.5,
        label="training, each step" if noisy else "training",
    )  # fmt: skip
    if noisy:
        axes.plot(*running_median(losses), color=TRAINING, linewidth=1.8, label="training, running median")
    if outcome.validation:
        validated = zip(*outcome.validation, strict=True)
        axes.plot(*validated, color=VALIDATION, linewidth=1.4, marker="o", markersize=4, label="validation")
    if outcome.spikes:
        places = zip(*((spike.step, spike.loss) for spike in outcome.spikes), strict=True)
        axes.plot(*places, "^", color=SPIKE, markersize=6, label=f"stands out ({len(outcome.spikes)})")
    for i, step in enumerate(outcome.resumed):
        label = None if i else f"gone on with ({len(outcome.resumed)})"
        axes.axvline(step + 0.5, color=MARK, linewidth=1, linestyle=":", label=label)
    if 0 < outcome.kept_step < len(losses):
        axes.axvline(outcome.kept_step, color=VALIDATION, linewidth=1, linestyle="--", label="kept: the best")
    _scale(axes, [*losses, *(value for _, value in outcome.validation)])
    axes.set_ylabel("loss (nats a token)")
    axes.legend(fontsize=9, edgecolor="none", framealpha=0.8)


def _scale(axes: Axes, values: Sequence[float]) -> None:
    """Logarithmic where the losses fall far; a narrow range, or a loss of nothing, is plainer on an even scale."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    least, most = min(values), max(values)
    if least <= 0 or most < 4 * least:
        return
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if most < 200 * least else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
