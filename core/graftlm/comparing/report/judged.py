"""What both ways of writing a judged report show of it: which figures, and in what words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from graftlm.comparing.model import CellReport, CurvePoint, Estimate, JudgedCell, Judgement, Learned, Report
from graftlm.planning.retention import TEXT

from .rows import number

NATS = "nats per token"
WEIGHED = {
    "new": "the new skill after training (of several the mean, by the first metric of each; a perfect one is 1)",
    "old": "the mean change of the old skills, by the first share of each (a loss is below 0)",
    "forgetting": "minus the rise of the loss on the retention text, in nats a token",
    "speed": "tokens a second, as a share of the fastest cell's",
    "memory": "the least peak memory of all cells, as a share of the cell's",
    "size": "the smallest adapter of all cells, as a share of the cell's",
}
"""What each weight weighs: graftlm.comparing.weighing."""
INTERVALS = (
    "In brackets stand 95% intervals over rows. Changes of shares are in percentage points. Against the best stands "
    "the difference of the first new skill from the best cell's, paired over rows, where both were tested on the same. "
    "Lost is what was worse after training than before with its whole interval."
)
Key = tuple[str, str]
"""An evaluation and a metric of it."""


def new_skills(judgement: Judgement) -> dict[Key, Learned]:
    """The first metric of each new evaluation, as the first cell has it that measured it."""
    found: dict[str, Learned] = {}
    for cell in judgement.cells:
        for each in cell.learned:
            if each.role == "new":
                found.setdefault(each.evaluation, each)
    return {(each.evaluation, each.metric): each for each in found.values()}


def old_skills(judgement: Judgement) -> dict[Key, Learned]:
    """The first share of each old evaluation; others where they changed for certain in some cell."""
    first: dict[str, Key] = {}
    shares: dict[Key, Learned] = {}
    sure: set[Key] = set()
    for cell in judgement.cells:
        for each in cell.learned:
            key = (each.evaluation, each.metric)
            if each.role == "old" and each.unit == "fraction":
                first.setdefault(each.evaluation, key)
                shares.setdefault(key, each)
                if turn(each):
                    sure.add(key)
    return {key: each for key, each in shares.items() if key == first[key[0]] or key in sure}


def of(cell: JudgedCell, key: Key, role: str) -> Learned | None:
    return next((e for e in cell.learned if e.role == role and (e.evaluation, e.metric) == key), None)


def skill(key: Key, known: Sequence[Key]) -> str:
    """The evaluation's name; with the metric where it is not the evaluation's first."""
    evaluation, metric = key
    return evaluation if next(k for k in known if k[0] == evaluation) == key else f"{evaluation}, {metric}"


def turn(learned: Learned) -> int:
    """1 where a metric is better for certain, -1 where it is worse, 0 where nothing is shown."""
    low, high = learned.change.low, learned.change.high
    if low is None or high is None or not (low > 0 or high < 0):
        return 0
    return 1 if (low > 0) == learned.higher_is_better else -1


def lost(cell: JudgedCell) -> tuple[Learned, ...]:
    """What is worse for certain, the most first; but the retention text, which has a column of its own."""
    worse = [e for e in cell.learned if e.role == "old" and e.evaluation != TEXT and turn(e) < 0]
    return tuple(sorted(worse, key=lambda e: (e.unit != "fraction", -abs(e.change.value))))


def lost_said(learned: Learned) -> tuple[str, str]:
    """What was lost, and how much. A metric that grew for the worse is named."""
    named = learned.evaluation if learned.higher_is_better else f"{learned.evaluation}, {learned.metric}"
    return named, change(learned.change, learned.unit)


def nothing_lost(cell: JudgedCell) -> str:
    return "nothing shown" if any(each.role == "old" for each in cell.learned) else ""


def value(amount: float, unit: str) -> str:
    """``98.3%``, ``1.112`` nats, ``3.04``"""
    return _number(amount, unit) + ("%" if unit == "fraction" and math.isfinite(amount) else "")


def estimate(of: Estimate, unit: str) -> str:
    """``98.3% (91.1 to 99.7)``"""
    return value(of.value, unit) + _bracketed(of, lambda end: _number(end, unit))


def change(of: Estimate, unit: str) -> str:
    """``−35 (−50.5 to −19.4)``: of shares in percentage points."""
    return signed(of.value, unit) + _bracketed(of, lambda end: signed(end, unit))


def signed(amount: float, unit: str) -> str:
    said = _number(abs(amount), unit)
    return said if said == "0" or math.isnan(amount) else ("−" if amount < 0 else "+") + said


def bounds(of: Estimate, said: Callable[[float], str]) -> str:
    """``−50.5 to −19.4``; empty where there is no interval."""
    if of.low is None or of.high is None or math.isnan(of.low) or math.isnan(of.high):
        return ""
    return f"{said(of.low)} to {said(of.high)}"


def _bracketed(of: Estimate, said: Callable[[float], str]) -> str:
    ends = bounds(of, said)
    return f" ({ends})" if ends else ""


def _number(amount: float, unit: str) -> str:
    """What is not 0 is not rounded to it, nor to 100%: the end of an interval decides what is shown."""
    if not math.isfinite(amount):
        return "not a number" if math.isnan(amount) else "infinite" if amount > 0 else "−infinite"
    if unit == "fraction":
        share = 100 * amount
        said = f"{share:.1f}".removesuffix(".0")
        near = (said in ("0", "-0") or said == "100") and abs(share - float(said)) > 1e-9
        return (f"{share:.1g}" if said != "100" else f"{share:.3f}") if near else said.replace("-0", "0", said == "-0")
    if abs(amount) < 1e-12:
        return "0"
    if unit in (NATS, "nats"):
        return f"{amount:.3f}" if abs(amount) >= 0.0005 else f"{amount:.1g}"
    return number(amount)


def sentence(said: str, names: Sequence[str]) -> str:
    """With a full stop, and a capital but where a cell's name begins it."""
    if not any(name and said.startswith(name) for name in names):
        said = said[:1].upper() + said[1:]
    return said if said.endswith((".", "!", "?")) else f"{said}."


def weights_said(weights: Mapping[str, float]) -> str:
    """How cells are weighed, in a sentence."""
    weighed = _weighed(weights)
    if not weighed:
        return ""
    told = "; ".join(f"{name} is {WEIGHED[name]}" for name in weighed if name in WEIGHED)
    return f"The score is {' + '.join(f'{weight:g} × {name}' for name, weight in weighed.items())}, where {told}."


def _weighed(weights: Mapping[str, float]) -> Mapping[str, float]:
    """What weighs something, in one order."""
    return {name: weights[name] for name in dict.fromkeys((*WEIGHED, *weights)) if weights.get(name)}


def score_said(cell: JudgedCell, weights: Mapping[str, float]) -> str:
    """``Score 0.915 = 1 × 1.000 (new) + 1 × −0.084 (old)``"""
    parts = [f"{w:g} × {score(cell.parts[n])} ({n})" for n, w in _weighed(weights).items() if n in cell.parts]
    return f"Score {score(cell.score)} = {' + '.join(parts)}" if parts else f"Score {score(cell.score)}"


def score(amount: float) -> str:
    if not math.isfinite(amount):
        return "not a number" if math.isnan(amount) else "infinite" if amount > 0 else "−infinite"
    said = f"{amount:.3f}".replace("-", "−")
    return "0.000" if said == "−0.000" else said


def ranked(report: Report, judgement: Judgement) -> list[tuple[JudgedCell, CellReport]]:
    """The judged cells, the best first, with what else was measured of them."""
    cells = {cell.name: cell for cell in report.cells}
    return [(each, cells[each.name]) for each in judgement.cells if each.name in cells]


def left_out(report: Report) -> list[tuple[str, str]]:
    """Cells that did not finish, and why."""
    return [
        (c.name, f"{c.status}, {c.reason}" if c.reason else c.status) for c in report.cells if c.status != "finished"
    ]


def doubted(report: Report) -> list[CellReport]:
    """Cells that failed a check: what they did is not what was asked."""
    return [cell for cell in report.cells if any(not check.passed for check in cell.checks)]


def unit_of(judgement: Judgement, evaluation: str, metric: str) -> str:
    """A curve does not say its own."""
    each = (e for cell in judgement.cells for e in cell.learned)
    return next((e.unit for e in each if (e.evaluation, e.metric) == (evaluation, metric)), "fraction")


def twice(points: Sequence[CurvePoint]) -> int:
    """The rows that a forecast is for."""
    return 2 * max((point.rows for point in points), default=0)
