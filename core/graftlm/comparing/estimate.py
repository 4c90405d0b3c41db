"""How long a comparison will take: from what ran already, or roughly from the size of the work."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from graftlm.contracts.plan import Plan

from .resolving import PlannedCell
from .results import RunResult

START, OWN_ENVIRONMENT = 8.0, 6.0
"""Seconds that a run takes beside its training: processes that start, imports, loading."""
SPEED = {"cpu": 3e10, "mps": 1e12, "cuda": 5e13}
"""Operations a second of training where nothing is measured yet: the order of magnitude."""


def run_seconds(cell: PlannedCell, results: Sequence[RunResult]) -> float:
    """Of one run of a cell: as it took before; else as the others made it likely."""
    assert cell.plan is not None
    own = [r.wall_seconds for r in results if r.cell == cell.cell.name and not r.error]
    if own:
        return statistics.median(own)
    operations, usual = _operations(cell.plan), START + OWN_ENVIRONMENT * bool(cell.plan.environment)
    speeds = [_operations(r.plan) / r.training_seconds for r in results if not r.error and r.training_seconds]
    return usual + operations / (statistics.median(speeds) if speeds else SPEED.get(cell.plan.device, SPEED["cpu"]))


def _operations(plan: Plan) -> float:
    """Of a whole run over samples of half the longest length."""
    shape, memory = plan.model.facts.shape, plan.memory
    parameters = shape.active if shape else 1_000_000_000
    tokens = (memory.tokens if memory else plan.encoding.max_length) / 2 * plan.training.batch_size
    return 4.0 * parameters * (tokens or plan.training.tokens_per_step) * plan.training.steps
