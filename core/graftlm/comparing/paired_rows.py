"""The per-sample files of judged runs: what each test row was worth."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from graftlm import intervals

from .model import Estimate
from .results import RunResult


def row_values(root: Path, run: RunResult, evaluation: str, metric: str) -> Sequence[float]:
    """After training, one number a row; none where the evaluator does not tell what each row is worth."""
    for path in sorted((root / run.samples).glob(f"new.{_literal(evaluation)}.*.after.jsonl")):
        found = [json.loads(line).get("each", {}) for line in path.read_text(encoding="utf-8").splitlines()]
        if found and metric in found[0]:
            return [each[metric] for each in found]
    return ()


def _literal(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def tests_of(run: RunResult) -> Mapping[str, str]:
    """Digests of the test rows, by evaluation: runs are compared row by row where they are the same."""
    return {each.name: each.digest for each in run.plan.evaluations if each.role == "new"}


def difference(first: Sequence[float], other: Sequence[float]) -> Estimate:
    """The other's mean minus the first's, over pairs of rows."""
    value = (sum(other) - sum(first)) / len(first)
    low, high = intervals.paired(first, other)
    return Estimate(value=value, low=low, high=high)
