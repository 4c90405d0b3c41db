"""A cell's plan, or why there is none here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graftlm.contracts.config import MOST, RunConfig
from graftlm.contracts.errors import GraftlmError
from graftlm.contracts.plan import Plan
from graftlm.planning.resolve import resolve
from graftlm_registry.plugins import Registry

from .cells import JOINT, Cell

STEPS, SCORED = 20, "test-rows"
NOTHING = (("capability", JOINT), ("replay", "none"))
"""Values of a comparison that stand for not saying the setting at all."""


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """``problem`` says why it cannot run here; empty where it can, and then there is a plan."""

    cell: Cell
    plan: Plan | None
    problem: str = ""


def planned(cell: Cell, registry: Registry, *, judges: bool = False) -> PlannedCell:
    """Resolved as ``train`` would, with what a comparison needs where nothing else is asked. ``judges``: what was
    learned is compared, and not how it was computed.
    """
    try:
        plan = resolve(RunConfig(**(_judged(cell) if judges else _settings(cell))), registry)
    except GraftlmError as error:
        return PlannedCell(cell, None, " ".join(str(error).split()))
    problems = [*plan.problems, *([] if judges else _not_comparable(plan))]
    return PlannedCell(cell, plan, "; ".join(" ".join(problem.split()) for problem in problems))


def _not_comparable(plan: Plan) -> list[str]:
    if plan.method.dropout:
        return [
            "dropout draws other numbers in every backend, so that nothing could be checked: compare with dropout 0"
        ]
    return []


def _judged(cell: Cell) -> Mapping[str, Any]:
    """All that ``train`` does."""
    said = {name: value for name, value in cell.settings.items() if (name, value) not in NOTHING}
    if cell.settings.get("replay") == "none":  # the ratio is for the cells beside it
        said.pop("replay_ratio", None)
    return {**said, "name": SCORED}


def _settings(cell: Cell) -> Mapping[str, Any]:
    """Few steps, nothing scored but what was asked for, one validation at the end."""
    said = dict(cell.settings)
    if "max_steps" not in said and "epochs" not in said:
        said["max_steps"] = STEPS
    scored = "evaluator" in said or "test_data" in said
    if not scored and "test_split" not in said and "split_rule" not in said:
        said["test_split"] = 0.0
    said.setdefault("retention", False)
    said.setdefault("eval_every", MOST)
    said["name"] = SCORED  # one name for the scores of all cells; nothing is published by it
    return said
