"""The per-sample files of evaluations: what each row was worth, one line of JSON a row."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graftlm import intervals
from graftlm.contracts.outcome import Change, Score
from graftlm.contracts.plan import Evaluation

LONGEST = 60


def suite_file(evaluation: Evaluation) -> str:
    """Where a run keeps the rows of an evaluation that is the user's own, among its data."""
    return f"old.{evaluation.digest}.jsonl"


def file_word(name: str) -> str:
    """A name as a part of a file's: readable, short, without a dot, and unlike any other name's on any file system."""
    word = re.sub(r"[^a-z0-9 _-]+", "-", name.lower())[:LONGEST]
    return word if word == name else f"{word}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def sample_file(role: str, evaluation: str, evaluator: str, moment: str) -> str:
    """The file that an evaluator's samples of an evaluation stand in."""
    return f"{role}.{file_word(evaluation)}.{evaluator}.{moment}.jsonl"


def shown_file(moment: str) -> str:
    """Where answers are kept, below the run's folder, that are there to be looked at and were not scored."""
    return f"samples/shown.{moment}.jsonl"


def read_samples(path: Path) -> tuple[Mapping[str, Any], ...]:
    """One a row; ``each`` holds the row's numbers by metric. Lines end at ``\\n`` alone: a sample may hold any other
    character that ends a line somewhere.
    """
    return tuple(json.loads(line) for line in path.read_bytes().split(b"\n") if line)


def row_values(samples: Sequence[Mapping[str, Any]], metric: str) -> Sequence[float]:
    """What each row was worth by a metric; none where the evaluator does not tell."""
    found = [sample.get("each", {}) for sample in samples]
    return [each[metric] for each in found] if found and metric in found[0] else ()


def paired_change(before: Score, after: Score, was: Sequence[float], now: Sequence[float]) -> Change:
    """Of one metric between two scores on the same rows; ``was`` and ``now`` are what each was worth, or nothing."""
    bounds: dict[str, Any] = {}
    if len(was) == len(now) > 1:
        low, high = intervals.paired(was, now)
        drawn = not (intervals.is_share(was) and intervals.is_share(now))
        bounds = {"low": low, "high": high, "interval": "bootstrap" if drawn else "newcombe"}
        bounds |= {"seed": intervals.SEED} if drawn else {}
    return Change(
        evaluation=after.evaluation,
        role=after.role,
        metric=after.metric,
        value=after.value - before.value,
        n=after.n,
        unit=after.unit,
        higher_is_better=after.higher_is_better,
        evaluator=after.evaluator,
        **bounds,
    )
