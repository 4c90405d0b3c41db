"""How long the rows are, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graftlm.checking.distributions import Distribution
    from graftlm.checking.report import DataReport


def save_picture(report: DataReport, path: Path) -> None:
    """Histograms of tokens a row (characters without a model) and of turns a conversation."""
    from matplotlib.figure import Figure

    samples, contents = report.samples, report.contents
    lengths = samples.tokens if samples and samples.tokens else contents.row_characters
    unit = "tokens" if samples and samples.tokens else "characters"
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    if lengths:
        _histogram(left, lengths, f"{unit} a row")
        left.axvline(lengths.median, color="#222222", linewidth=1, linestyle=":", label=f"median {lengths.median:,}")
        left.axvline(lengths.p95, color="#222222", linewidth=1, linestyle="--", label=f"95% {lengths.p95:,}")
    if samples and samples.tokens:
        _mark_longest(left, samples.tokens, samples.max_length)
    left.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))  # above the bars
    if contents.turns:
        _histogram(right, contents.turns, "turns a conversation")
        right.xaxis.get_major_locator().set_params(integer=True)
    model = f", {samples.model} with {samples.template}" if samples else ""
    figure.suptitle(f"{_short(report.data)}: {report.rows:,} rows{model}", fontsize=11)
    figure.savefig(path, dpi=144)


def _histogram(axes: Any, spread: Distribution, label: str) -> None:
    """The last bin holds all that is longer; where it does, the axis says so."""
    width = spread.bins[0][1] - spread.bins[0][0] + 1
    axes.bar(
        [first for first, _, _ in spread.bins], [count for _, _, count in spread.bins], width=width, align="edge",
        color="#4477aa", edgecolor="white", linewidth=0.4,
    )  # fmt: skip
    first, last, count = spread.bins[-1]
    if last - first >= width and len(spread.bins) > 1:
        label += f" (the last bar: {count:,} rows up to {last:,})"
    if width == 1:  # a bar stands on its number
        for bar in axes.patches:
            bar.set_x(bar.get_x() - 0.5)
    axes.set(xlabel=label, ylabel="rows")
    axes.set_xlim(spread.bins[0][0] - width, first + 2 * width)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    axes.set_axisbelow(True)


def _mark_longest(axes: Any, spread: Distribution, max_length: int) -> None:
    """Where ``--max-length`` cuts: a line if it is in sight, else said."""
    name = f"--max-length {max_length:,}"
    if max_length <= spread.bins[-1][0]:
        axes.axvline(max_length, color="#cc6677", linewidth=1.5, label=name)
    else:
        where = "longer than all rows" if max_length >= spread.max else "among the last bar"
        axes.plot([], [], color="#cc6677", linewidth=1.5, label=f"{name} ({where})")


def _short(name: str, most: int = 50) -> str:
    return name if len(name) <= most else f"…{name[-most:]}"
