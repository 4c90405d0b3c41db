"""Classes of cells that claim the same computation, each with the cell that the others are held against."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from graftlm.contracts.plan import Plan

from .cells import word
from .model import Check
from .parity import claim, gate, own_checks, tolerance_of
from .record import CellRecord
from .results import RunResult
from .suite import Suite

Runs = Mapping[str, Sequence[RunResult]]
"""Finished runs by cell, in the order of their rounds."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A finished cell: the number of its class, the checks of the gate, and whether it passed all of them."""

    computation: int
    checks: tuple[Check, ...]

    @property
    def comparable(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def reason(self) -> str:
        return "; ".join(check.said for check in self.checks if not check.passed)


def judged(cells: Sequence[CellRecord], runs: Runs, suite: Suite) -> tuple[Mapping[str, Judged], Mapping[int, str]]:
    """Every finished cell by name, and what each class computes. The reference of a class is its baseline cell where
    that did what its plan says, else the first that did.
    """
    classes: dict[str, list[str]] = {}
    for cell in cells:
        if runs.get(cell.name):
            classes.setdefault(claim(runs[cell.name][0].plan), []).append(cell.name)
    settings = {cell.name: cell.settings for cell in cells}
    found, described = {}, {}
    for number, names in enumerate(classes.values(), start=1):
        plan = runs[names[0]][0].plan
        described[number] = _description(plan, settings[names[0]])
        reference = _reference(names, {cell.baseline for cell in cells}, runs)
        tolerance = tolerance_of(plan, suite.tolerance)
        for name in names:
            checks = own_checks(runs[name]) if name == reference else gate(runs[name], runs[reference], tolerance)
            found[name] = Judged(number, checks)
    return found, described


def _reference(names: Sequence[str], baselines: Container[str], runs: Runs) -> str:
    order = sorted(names, key=lambda name: name not in baselines)
    return next((name for name in order if all(check.passed for check in own_checks(runs[name]))), order[0])


def _description(plan: Plan, settings: Mapping[str, object]) -> str:
    load, method = plan.load, plan.method
    rank = f" of rank {method.rank}" if method.rank else ""
    weights = f"{load.quantization} weights, {load.dtype}" if load.quantization != "none" else load.dtype
    rows = f"{plan.data.splits[0].rows:,} rows of {word('data', settings.get('data'))}"
    return (
        f"{method.name}{rank} on {plan.model.name} in {weights}, {rows}, "
        f"{plan.training.steps} steps of {plan.training.step_size}"
    )
