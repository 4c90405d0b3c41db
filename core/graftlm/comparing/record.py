"""``suite.json``: what a comparison's folder holds the results of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from graftlm.contracts.errors import StoreError, UsageError
from graftlm.contracts.serial import digest, to_json
from graftlm_registry.home import keep

from .cells import Cell, baseline_of, word
from .resolving import PlannedCell
from .results import FORM, ResultFolder, read_file
from .suite import Suite


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRecord:
    """A cell as it was planned: ``problem`` says why it could not run, ``plan_hash`` is empty then.
    ``baseline`` is the name of the cell that it is compared with, or empty.
    """

    name: str
    slug: str
    settings: Mapping[str, Any]
    shown: Mapping[str, str]
    problem: str
    plan_hash: str
    baseline: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRecord:
    """Written when a comparison begins, and anew when it goes on."""

    suite: Suite
    cells: tuple[CellRecord, ...]
    machine: Mapping[str, str]
    git: str
    created: str
    form: int = FORM


def read_record(folder: ResultFolder) -> SuiteRecord:
    """``UsageError`` where the folder holds no comparison."""
    if not folder.suite.is_file():
        raise UsageError(f"there are no results in {folder.root}: give the folder that 'graftlm bench run --out' wrote")
    return read_file(folder.suite, SuiteRecord)


def begin(
    suite: Suite, cells: Sequence[PlannedCell], folder: ResultFolder, machine: Mapping[str, str], git: str
) -> SuiteRecord:
    """Keep what the folder is for, or go on with what it holds. ``UsageError`` where that is something else: another
    suite, or finished runs of other plans, whose figures would not belong together.
    """
    named = [c.cell for c in cells]
    record = SuiteRecord(
        suite=suite,
        cells=tuple(
            CellRecord(
                name=c.cell.name, slug=c.cell.slug, settings=c.cell.settings, shown=c.cell.shown, problem=c.problem,
                plan_hash=c.plan.hash if c.plan else "", baseline=_baseline(c.cell, named, suite),
            )
            for c in cells
        ),
        machine=machine,
        git=git,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )  # fmt: skip
    if folder.suite.is_file():
        known = read_record(folder)
        if _identity(known.suite) != _identity(suite):
            raise UsageError(f"{folder.root} holds the results of another comparison: give another --out")
        _check_plans(record, folder)
        record = replace(record, created=known.created)
    folder.make()
    keep(folder.suite, to_json(record))
    if not folder.suite.is_file():
        raise StoreError(f"{folder.suite} cannot be written")
    return record


def _baseline(cell: Cell, cells: Sequence[Cell], suite: Suite) -> str:
    found = baseline_of(cell, cells, suite) if suite.baseline else None
    return found.name if found else ""


def _identity(suite: Suite) -> str:
    """More rounds of the same are the same comparison, and limits are for the report. Where data lies is nothing: what
    is in it stands in the plans.
    """
    shown = [
        {**each, **({"data": word("data", each["data"])} if "data" in each else {})}
        for each in (suite.base, *suite.include)
    ]
    matrix = {key: [word(key, value) for value in values] for key, values in suite.matrix.items()}
    return digest(
        [suite.title, shown, matrix, suite.exclude, suite.baseline, suite.sweeps, suite.warmup, suite.answers]
        + [suite.judges] * suite.judges  # a folder of an earlier graftlm goes on
    )


def _check_plans(record: SuiteRecord, folder: ResultFolder) -> None:
    hashes = {cell.name: cell.plan_hash for cell in record.cells}
    for result in folder.read():
        if not result.error and result.plan.hash != hashes.get(result.cell, ""):
            raise UsageError(
                f"the finished runs of '{result.cell}' in {folder.root} are of another plan (data, packages or "
                "graftlm's code have changed since): give another --out"
            )
