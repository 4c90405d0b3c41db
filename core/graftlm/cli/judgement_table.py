"""What a comparison learned, as a terminal shows it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from graftlm.comparing.model import CellReport, Curve, Estimate, JudgedCell, Learned, Report

from .tables import size, table


def judgement_text(report: Report, root: Path) -> str:
    """A line a cell, the best first; then those that did not finish, curves, and where the answers are."""
    judged = report.judgement
    assert judged is not None
    cells = {cell.name: cell for cell in report.cells}
    rows = [_row(cell, cells[cell.name]) for cell in judged.cells]
    header = ("cell", "new, before", "after", "against the best", "forgot (nats)", "lost", "tokens/s", "memory",
              "size", "score", "adapter")  # fmt: skip
    others = [cell for cell in report.cells if cell.name not in {each.name for each in judged.cells}]
    blocks = [
        table(rows, header) if rows else "",
        "\n".join(f"{cell.name}: {cell.status}: {cell.reason}" for cell in others),
        "\n".join(judged.said),
        *map(_curve, judged.curves),
        *(f"{click.style('note', fg='yellow')}: {note}" for note in report.notes),
        f"each answer: {root / 'samples'}" if rows else "",
    ]
    return "\n\n".join(filter(None, blocks))


def _row(cell: JudgedCell, report: CellReport) -> tuple[str, ...]:
    new = [each for each in cell.learned if each.role == "new"]
    firsts = list({each.evaluation: each for each in reversed(new)}.values())[::-1]
    named = len(firsts) > 1
    figures = report.figures
    return (
        cell.name,
        _each(firsts, "before", named),
        _each(firsts, "after", named),
        signed(cell.against_best, firsts[0].unit) if cell.against_best and firsts else "",
        signed(cell.forgetting, "nats") if cell.forgetting else "",
        lost(cell),
        f"{figures['tokens_per_second'].median:,.0f}" if "tokens_per_second" in figures else "",
        size(int(figures["peak_memory"].median)) if "peak_memory" in figures else "",
        size(int(figures["adapter_bytes"].median)) if "adapter_bytes" in figures else "",
        f"{cell.score:.3f}",
        cell.adapter,
    )


def _each(learned: Sequence[Learned], moment: str, named: bool) -> str:
    return ", ".join(
        (f"{each.evaluation} " if named else "") + amount(getattr(each, moment), each.unit) for each in learned
    )


def lost(cell: JudgedCell) -> str:
    """The old skill that lost most, where it lost for certain."""
    worse = [
        each
        for each in cell.learned
        if each.role == "old" and each.unit == "fraction" and each.higher_is_better
        and each.change.high is not None and each.change.high < 0
    ]  # fmt: skip
    if not worse:
        return "nothing shown"
    most = min(worse, key=lambda each: each.change.value)
    more = f", {len(worse) - 1} more" if len(worse) > 1 else ""
    return f"{most.evaluation} {100 * most.change.value:+.0f}{more}".replace("-", "−", 1)


def amount(estimate: Estimate, unit: str) -> str:
    """``93% (87–97)``"""
    shown = f"{estimate.value:.0%}" if unit == "fraction" else f"{estimate.value:.3g}"
    if estimate.low is None or estimate.high is None:
        return shown
    if unit == "fraction":
        return f"{shown} ({100 * estimate.low:.0f}–{100 * estimate.high:.0f})"
    return f"{shown} ({estimate.low:.3g}–{estimate.high:.3g})"


def signed(estimate: Estimate, unit: str) -> str:
    """``−3 (−6 to −1)``: percentage points of shares."""
    scale, form = (100, "+.0f") if unit == "fraction" else (1, "+.3g")
    shown = f"{scale * estimate.value:{form}}"
    if estimate.low is not None and estimate.high is not None:
        shown += f" ({scale * estimate.low:{form}} to {scale * estimate.high:{form}})"
    return shown.replace("-", "−")


def _curve(curve: Curve) -> str:
    rows = [(f"{point.rows:,} rows", amount(point.score, curve.unit)) for point in curve.points]
    return f"{curve.evaluation} over training rows\n{table(rows)}\n{curve.said}"
