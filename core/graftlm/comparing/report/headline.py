"""What a comparison found, in a few sentences that hold: who is ahead, and how many cells count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graftlm.comparing.model import Measure, Ratio, Report

from .rows import Columns, Group, interval, standing, usable, words

_ORDER = (
    "baseline", "same computation", "another computation", "not compared", "not comparable", "unfinished", "failed",
    "unavailable",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """``said`` of one group; ``figure`` is the ratio to show large, ``level``: compared, and no difference is shown."""

    title: str
    said: str
    figure: str = ""
    level: bool = False


def findings(report: Report, found: Sequence[Group], shown: Columns, labels: Sequence[str]) -> tuple[Finding, ...]:
    return tuple(_finding(report, group, shown.speed, labels) for group in found)


def counts(report: Report) -> Mapping[str, int]:
    """How many cells stand how, the comparable first; only what there is."""
    stands = [standing(cell)[0] for cell in report.cells]
    return {name: stands.count(name) for name in _ORDER if name in stands}


def gate_sentence(report: Report) -> str:
    """How many cells passed the gate, and how many do not count and why."""
    checked = [cell for cell in report.cells if cell.checks and cell.status == "finished"]
    passed = sum(all(check.passed for check in cell.checks) for cell in checked)
    told = [f"{passed} of {_cells(len(checked))} that were checked passed the parity gate"] if checked else []
    told += [
        f"{n} {name}" if name == "failed" else f"{'1 is' if n == 1 else f'{n} are'} {name}"
        for name, n in counts(report).items()
        if name not in ("baseline", "same computation")
    ]
    sentence = "; ".join(told)
    return sentence[:1].upper() + sentence[1:] + "." if sentence else ""


def _cells(n: int) -> str:
    return "1 cell" if n == 1 else f"{n} cells"


def _finding(report: Report, group: Group, speed: Measure | None, labels: Sequence[str]) -> Finding:
    cells = [report.cells[number] for number in group.cells]
    if not any(cell.status == "finished" for cell in cells):
        return Finding(group.title, "No cell has finished.")
    if speed is None or group.baseline is None or report.cells[group.baseline].status != "finished":
        return Finding(group.title, "There is no finished baseline, so nothing is compared.")
    base = labels[group.baseline]
    sign = 1 if speed.higher_is_better else -1
    beside = [
        (number, ratio)
        for number, cell in zip(group.cells, cells, strict=True)
        if cell.relation == "same computation" and (ratio := usable(cell, speed)) is not None
    ]
    if not beside:
        return Finding(group.title, f"Nothing is comparable with {base}.")
    beside.sort(key=lambda one: -sign * one[1].median)
    ahead = [one for one in beside if _apart(one[1], sign)]
    if ahead:
        return _ahead(group, ahead[0], beside, base, labels, sign)
    unclear = [labels[number] for number, ratio in beside if not _apart(ratio, -sign)]
    if not unclear:
        nearest = labels[beside[0][0]]
        return Finding(
            group.title,
            f"{base}, the baseline, is ahead of all: {nearest} comes nearest, {words(beside[0][1])} "
            f"({_bounds(beside[0][1])}).",
            "1",
        )
    few = all(ratio.low is None for _, ratio in beside)
    said = "There are too few rounds to tell" if few else "No difference is shown between"
    return Finding(group.title, f"{said} {base} and {_listed(unclear)}{' apart' if few else ''}.", level=not few)


def _ahead(
    group: Group,
    first: tuple[int, Ratio],
    beside: Sequence[tuple[int, Ratio]],
    base: str,
    labels: Sequence[str],
    sign: int,
) -> Finding:
    number, ratio = first
    said = f"{labels[number]} is ahead: {words(ratio)} as {base} ({_bounds(ratio)})."
    if not words(ratio).endswith(("as fast", "as much", "as many")):
        said = f"{labels[number]} is ahead of {base}: {words(ratio)} ({_bounds(ratio)})."
    level = [labels[n] for n, other in beside if n != number and _overlap(ratio, other) and _apart(other, sign)]
    if level:
        said += f" Its interval overlaps with that of {_listed(level)}."
    return Finding(group.title, said, interval(ratio).split(" ")[0])


def _apart(ratio: Ratio, sign: int) -> bool:
    """Whether the interval lies on the better side of 1 (of the worse, for the other sign)."""
    if ratio.low is None or ratio.high is None:
        return False
    return ratio.low > 1 if sign > 0 else ratio.high < 1


def _overlap(one: Ratio, other: Ratio) -> bool:
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return True
    return one.low <= other.high and other.low <= one.high


def _bounds(ratio: Ratio) -> str:
    return interval(ratio).partition("(")[2].removesuffix(")") or "no interval"


def _listed(names: Sequence[str]) -> str:
    shown = list(names) if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
