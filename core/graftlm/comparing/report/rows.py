"""What both ways of writing a report show of it: groups of cells, columns, words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graftlm.comparing.model import CellReport, Measure, Ratio, Report

GOOD, PLAIN, BAD = "good", "plain", "bad"
_RANKS = {"baseline": 0, "same computation": 1, "another computation": 2, "none": 3, "not comparable": 4}
_STATES = {"finished": 0, "unfinished": 5, "failed": 6, "unavailable": 7}
_TRUE = ("true", "yes", "on")


@dataclass(frozen=True, slots=True)
class Group:
    """Cells that are read side by side: a baseline and what is compared with it, best known first. ``cells`` are
    numbers of the report's cells.
    """

    title: str
    baseline: int | None
    cells: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Columns:
    """The measures that stand in the table."""

    speed: Measure | None
    memory: Measure | None
    first_step: Measure | None
    loss: Measure | None

    def shown(self) -> tuple[Measure, ...]:
        return tuple(one for one in (self.speed, self.memory, self.first_step, self.loss) if one is not None)


def columns(report: Report) -> Columns:
    """Of each kind the first that some cell has a figure of."""
    measured = {name for cell in report.cells for name in cell.figures}
    known = [one for one in report.measures if one.name in measured]

    def first(*parts: str) -> Measure | None:
        return next((one for part in parts for one in known if part in one.name), None)

    compared = [one for one in known if one.compared and one.higher_is_better] or [o for o in known if o.compared]
    return Columns(
        speed=next((one for one in known if one.name == "tokens_per_second"), compared[0] if compared else None),
        memory=first("peak_memory", "memory", "rss"),
        first_step=first("first_step"),
        loss=first("validation_loss", "final_loss", "loss"),
    )


def groups(report: Report) -> tuple[Group, ...]:
    """In the order of the report. A cell without a baseline stands with its class where that has one."""
    names = {cell.name: which for which, cell in reversed(list(enumerate(report.cells)))}
    above = {cell.baseline for cell in report.cells if cell.baseline}
    above |= {cell.name for cell in report.cells if cell.relation == "baseline"}
    known = [report.cells[names[name]] for name in names if name in above]
    found: dict[tuple[str, int], list[int]] = {}
    for which, cell in enumerate(report.cells):
        beside = cell.name if cell.name in above else cell.baseline or _nearest(cell, known)
        found.setdefault((beside, 0 if beside else cell.computation), []).append(which)

    def rank(number: int) -> int:
        cell = report.cells[number]
        return _RANKS[cell.relation] if cell.status == "finished" else _STATES[cell.status]

    made = []
    for (beside, computation), numbers in found.items():
        base = names.get(beside)
        of = report.cells[base].computation if base is not None else computation
        title = report.computations.get(of) or (f"against {beside}" if beside else "cells that did not finish")
        made.append(Group(title=title, baseline=base, cells=tuple(sorted(numbers, key=rank))))
    return tuple(made)


def _nearest(cell: CellReport, baselines: Sequence[CellReport]) -> str:
    """The baseline that a cell stands with that tells none: that of its class, or the one with the likest settings."""

    def alike(baseline: CellReport) -> tuple[bool, int]:
        same = sum(baseline.settings.get(key) == value for key, value in cell.settings.items())
        return bool(cell.computation) and baseline.computation == cell.computation, same

    best = max(baselines, key=alike, default=None)
    if best is None or (cell.computation and cell.status == "finished" and not alike(best)[0]):
        return ""
    return best.name


def labels(report: Report, found: Sequence[Group]) -> tuple[str, ...]:
    """A short name for each cell: the settings that tell it from the others of its group, or its own name."""
    short = [cell.name for cell in report.cells]
    for group in found:
        told = [report.cells[number].settings for number in group.cells]
        keys = dict.fromkeys(key for settings in told for key in settings)
        varying = [key for key in keys if len({settings.get(key, "") for settings in told}) > 1]
        tried = [_label(settings, varying) for settings in told]
        if all(tried) and len(set(tried)) == len(tried):
            for number, label in zip(group.cells, tried, strict=True):
                short[number] = label
    return tuple(short)


def _label(settings: Mapping[str, str], keys: Sequence[str]) -> str:
    said = [key if settings[key].lower() in _TRUE else settings[key] for key in keys if settings.get(key)]
    return " · ".join(said)


def standing(cell: CellReport) -> tuple[str, str]:
    """In words, what a cell is worth in the comparison; and how that is meant."""
    if cell.status != "finished":
        return cell.status, BAD if cell.status == "failed" else PLAIN
    if cell.relation == "none":
        return "not compared", PLAIN
    return cell.relation, GOOD if cell.comparable else BAD if cell.relation == "not comparable" else PLAIN


def usable(cell: CellReport, measure: Measure | None) -> Ratio | None:
    """The ratio that may be shown: none of a cell that failed or is not comparable, whatever it carries."""
    if measure is None or cell.status in ("failed", "unavailable") or cell.relation in ("not comparable", "none"):
        return None
    return cell.ratios.get(measure.name)


def interval(ratio: Ratio) -> str:
    """``1.42 (1.38 to 1.47)``"""
    if ratio.low is None or ratio.high is None:
        return _near_one(ratio.median)
    return f"{_near_one(ratio.median)} ({_near_one(ratio.low)} to {_near_one(ratio.high)})"


def _near_one(value: float) -> str:
    """An end of an interval that is not 1 is not rounded to it: that end decides what is said."""
    return f"{value:.3f}" if f"{value:.2f}" == "1.00" and f"{value:.3f}" != "1.000" else number(value)


def words(ratio: Ratio) -> str:
    """What is said of a ratio without the interval, which stands beside it."""
    said, _, rest = ratio.said.rpartition(" (")
    return said if said and rest.endswith(")") and rest[0].isdigit() else ratio.said


def gate(cell: CellReport) -> str:
    """The checks in short: ``7 of 7: first loss differs by 3.1e-7``, or what did not pass."""
    if not cell.checks:
        return ""
    failed = [check.said or check.name for check in cell.checks if not check.passed]
    told = failed or [check.said for check in cell.checks if "loss" in check.name and "first" in check.name]
    passed = f"{len(cell.checks) - len(failed)} of {len(cell.checks)}"
    return f"{passed}: {'; '.join(told)}" if told else passed


def heading(measure: Measure) -> str:
    """With the unit, where it does not stand at each value."""
    label = measure.label[:1].upper() + measure.label[1:]
    said = measure.unit in ("", "nats", "s", "seconds", "bytes", "B") or measure.unit.lower() in measure.label.lower()
    return label if said else f"{label}, {measure.unit}"


def amount(cell: CellReport, measure: Measure | None, spread: bool = False) -> str:
    """The median of a measure, with the least and the greatest where asked."""
    figure = cell.figures.get(measure.name) if measure is not None else None
    if measure is None or figure is None:
        return ""
    middle = quantity(figure.median, measure.unit)
    low, high = quantity(figure.least, measure.unit), quantity(figure.greatest, measure.unit)
    if not spread or low == high or not math.isfinite(figure.median):
        return middle
    return f"{middle} ({low} to {high})"


def quantity(value: float, unit: str) -> str:
    """With a unit that suits its size; of units that are not scaled, the number alone."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    if unit in ("bytes", "B"):
        for name, size in (("TiB", 2.0**40), ("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10)):
            if abs(value) >= size:
                return f"{number(value / size)} {name}"
        return f"{value:.0f} B"
    if unit in ("s", "seconds"):
        if abs(value) >= 120:
            return f"{number(value / 60)} min"
        for name, size in (("s", 1.0), ("ms", 1e-3)):
            if abs(value) >= size:
                return f"{number(value / size)} {name}"
        return f"{number(value * 1e6)} µs"
    return f"{value:.4g}" if unit in ("", "nats") and abs(value) < 1000 else number(value)


def number(value: float) -> str:
    """Three digits or more: ``12,438``, ``87.3``, ``1.42``, ``0.00312``."""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size >= 99.95:
        return f"{value:,.0f}"
    if size >= 9.995:
        return f"{value:.1f}"
    if size >= 0.0995 or value == 0:
        return f"{value:.2f}"
    return f"{value:.2g}"
