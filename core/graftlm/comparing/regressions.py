"""Two reports of the same cells on two days: what got worse, what got better, what is noise."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from graftlm.contracts.errors import UsageError

from .model import CellReport, Figure, Measure, Ratio, Report
from .ratios import LEAST_ROUNDS, Distribution, amount, bootstrap_of_median, interval, ratio_of_logs, usable

Verdict = Literal["regression", "improvement", "noise", "gone", "new", "no longer comparable", "now fails"]

_REGRESSIONS: frozenset[Verdict] = frozenset({"regression", "no longer comparable", "now fails"})
# What is rarer than this cannot move a 2.5% bound; leaving it out keeps many rounds quick.
_NEGLIGIBLE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of a cell, or of one measure of it (``measure`` is its name, empty where the whole cell is meant).
    ``ratio`` is new by old.
    """

    cell: str
    measure: str
    verdict: Verdict
    ratio: Ratio | None
    said: str

    @property
    def is_regression(self) -> bool:
        return self.verdict in _REGRESSIONS


def compare_reports(old: Report, new: Report, threshold: float = 0.03) -> tuple[Change, ...]:
    """Cells by name, in the new report's order, then those that are gone; of each, the measures that are compared.

    A regression is worse by more than ``threshold`` (0.03: 3% more time, or 1/1.03 of the speed), and so surely that
    the whole 95% interval is on the worse side of 1; an improvement the same the other way. An interval knows the
    chance between rounds of one day, not what differs between days: that is what the threshold is for. Raises
    ``UsageError`` for a threshold below 0.
    """
    if not threshold >= 0:
        raise UsageError(f"the threshold has to be 0 or more, such as 0.03 for 3%; it is {threshold}")
    before = {cell.name: cell for cell in old.cells}
    changes: list[Change] = []
    for cell in new.cells:
        was = before.pop(cell.name, None)
        whole = _of_cell(was, cell)
        if whole is not None:
            changes.append(whole)
        elif was is not None:
            changes.extend(_of_measures(was, cell, old, new, threshold))
    gone = (_whole(name, "gone", "in the old report only") for name in before)
    return (*changes, *gone)


def differs_in(old: Report, new: Report) -> tuple[str, ...]:
    """Sentences on what makes the reports hard to compare: device, versions, settings, what ran; none where nothing
    does.
    """
    cells = {cell.name: cell for cell in new.cells}
    both = [(cell, cells[cell.name]) for cell in old.cells if cell.name in cells]
    ran: dict[str, list[str]] = {}
    for was, now in both:
        now_computes, then_computed = (
            new.computations.get(now.computation, ""),
            old.computations.get(was.computation, ""),
        )
        for sentence in (
            *_differences(was.settings, now.settings, "--"),
            *_differences(was.ran, now.ran),
            *_differences({"computation": then_computed}, {"computation": now_computes}),
        ):
            ran.setdefault(sentence, []).append(was.name)
    units = {measure.name: measure.unit for measure in new.measures}
    return (
        *_differences(old.about, new.about),
        *_differences(old.settings, new.settings, "--"),
        *_differences(
            {"rounds": str(old.rounds), "warm-up steps": str(old.warmup)},
            {"rounds": str(new.rounds), "warm-up steps": str(new.warmup)},
        ),
        *_differences(
            {f"unit of {m.name}": m.unit for m in old.measures if m.name in units},
            {f"unit of {m.name}": units[m.name] for m in old.measures if m.name in units},
        ),
        *(f"{sentence[:-1]} ({_listed(names, len(both))})." for sentence, names in ran.items()),
    )


def _of_cell(was: CellReport | None, now: CellReport) -> Change | None:
    """What is to be said of the cell as a whole; None where its measures can be compared."""
    why = f": {now.reason}" if now.reason else ""
    if was is None:
        return _whole(now.name, "new", f"in the new report only ({now.status}{why})")
    if now.status != "finished":
        if was.status == "finished":
            return _whole(now.name, "now fails", f"finished before, now {now.status}{why}")
        return _whole(now.name, "noise", f"not finished before ({was.status}), nor now ({now.status}{why})")
    if was.status != "finished":
        return _whole(now.name, "new", f"finished now; before it was {was.status}, so that it has no earlier figures")
    if now.relation == "not comparable":
        if was.relation == "not comparable":
            return _whole(now.name, "noise", f"not comparable, before and now{why}")
        return _whole(now.name, "no longer comparable", f"not comparable now{why}")
    if was.comparable and now.relation == "another computation" and was.baseline == now.baseline:
        return _whole(now.name, "no longer comparable", f"another computation than its baseline's now{why}")
    if was.relation == "not comparable":
        return _whole(now.name, "improvement", "comparable now; before it was not, so that it has no earlier figures")
    return None


def _of_measures(was: CellReport, now: CellReport, old: Report, new: Report, threshold: float) -> Iterator[Change]:
    compared = {measure.name: measure for measure in old.measures if measure.compared}
    measures = {measure.name: measure for measure in new.measures if measure.compared}
    for name, measure in (compared | measures).items():
        before, after = was.figures.get(name), now.figures.get(name)
        if before is not None and after is not None:
            if name in compared and name in measures and compared[name].unit == measure.unit:
                yield _of_figures(now.name, measure, before, after, threshold)
        elif before is not None and name in compared:
            yield _one(now.name, name, "gone", "measured before, not now")
        elif after is not None and name in measures:
            yield _one(now.name, name, "new", "measured now, not before")


def _of_figures(cell: str, measure: Measure, old: Figure, new: Figure, threshold: float) -> Change:
    ratio = unpaired_ratio(new, old, measure)
    if ratio is None:
        return _one(cell, measure.name, "noise", "no positive figures on both sides to compare")
    if ratio.low is None or ratio.high is None:
        how_much = amount(ratio.median, measure)
        return _one(cell, measure.name, "noise", f"too few rounds to tell ({how_much} in {ratio.rounds})", ratio)
    worse, surely_worse, surely_better = ratio.median, ratio.low > 1, ratio.high < 1
    if measure.higher_is_better:
        worse, surely_worse, surely_better = 1 / worse, surely_better, surely_worse
    if surely_worse and worse > 1 + threshold:
        return _one(cell, measure.name, "regression", f"worse: {ratio.said}", ratio)
    if surely_better and 1 / worse > 1 + threshold:
        return _one(cell, measure.name, "improvement", f"better: {ratio.said}", ratio)
    if surely_worse or surely_better:
        return _one(
            cell, measure.name, "noise", f"no more than the threshold of {100 * threshold:.3g}%: {ratio.said}", ratio
        )
    return _one(cell, measure.name, "noise", ratio.said, ratio)


def unpaired_ratio(new: Figure, old: Figure, measure: Measure) -> Ratio | None:
    """The median of one by that of the other, where rounds are not pairs. The interval is from the exact bootstrap
    distributions of the two medians, which are independent. ``rounds`` is the smaller number of the two.
    """
    after, before = ([math.log(value) for value in side.values if usable(value)] for side in (new, old))
    if not after or not before:
        return None
    rounds = min(len(after), len(before))
    bounds = None
    if rounds >= LEAST_ROUNDS:
        bounds = interval(_difference(bootstrap_of_median(after), bootstrap_of_median(before)))
    return ratio_of_logs(statistics.median(after) - statistics.median(before), bounds, rounds, measure)


def _difference(minuend: Distribution, subtrahend: Distribution) -> Distribution:
    return sorted(
        (mine - other, probability * others)
        for mine, probability in minuend
        if probability > _NEGLIGIBLE
        for other, others in subtrahend
        if others > _NEGLIGIBLE
    )


def _differences(old: Mapping[str, str], new: Mapping[str, str], prefix: str = "") -> Iterator[str]:
    for key in {**old, **new}:
        if old.get(key, "") != new.get(key, ""):
            yield f"{prefix}{key} was {old.get(key) or 'not given'} and is {new.get(key) or 'not given'}."


def _listed(names: list[str], of: int) -> str:
    if len(names) == of:
        return "in every cell" if of > 1 else f"in {names[0]}"
    return f"in {', '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _whole(cell: str, verdict: Verdict, said: str) -> Change:
    return _one(cell, "", verdict, said)


def _one(cell: str, measure: str, verdict: Verdict, said: str, ratio: Ratio | None = None) -> Change:
    return Change(cell=cell, measure=measure, verdict=verdict, ratio=ratio, said=said)
