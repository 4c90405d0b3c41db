"""The per-sample files of judged runs: what each test row was worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from graftlm import intervals
from graftlm.data.samples import read_samples, row_values, sample_file

from .model import Estimate, Learned
from .results import RunResult


def values_of(root: Path, run: RunResult, learned: Learned) -> Sequence[float]:
    """After training, one number a row; none where the evaluator does not tell what each row is worth."""
    name = sample_file(learned.role, learned.evaluation, learned.evaluator, "after")
    path = root / run.samples / name
    return row_values(read_samples(path), learned.metric) if path.is_file() else ()


def tests_of(run: RunResult) -> Mapping[str, str]:
    """Digests of the test rows, by evaluation: runs are compared row by row where they are the same."""
    return {each.name: each.digest for each in run.plan.evaluations if each.role == "new"}


def difference(first: Sequence[float], other: Sequence[float]) -> Estimate:
    """The other's mean minus the first's, over pairs of rows."""
    value = (sum(other) - sum(first)) / len(first)
    low, high = intervals.paired(first, other) if len(first) > 1 else (None, None)
    return Estimate(value=value, low=low, high=high)
