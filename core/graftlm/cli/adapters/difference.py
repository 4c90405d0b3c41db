"""Two records side by side: what is not the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graftlm.contracts.outcome import Score
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import to_builtins
from graftlm.judging.weight_changes import Compared, Moved, whole
from graftlm.running.score_words import QUIET, with_interval

from ..tables import exact, table

SHORT = 16
"""Digits of a digest that are shown."""
SETS = ("target_modules", "exclude_modules", "modules_to_save")
"""Settings whose order says nothing."""


def differences(one: AdapterRecord, two: AdapterRecord) -> dict[str, tuple[Any, Any]]:
    """By the name of what differs, how each has it."""
    mine, theirs = dict(_facts(one)), dict(_facts(two))
    names = dict.fromkeys((*mine, *theirs))
    return {n: (mine.get(n, ""), theirs.get(n, "")) for n in names if mine.get(n, "") != theirs.get(n, "")}


def _facts(record: AdapterRecord) -> Iterator[tuple[str, Any]]:
    yield from {
        "kind": record.kind, "origin": record.origin, "base": record.base.name,
        "base revision": record.base.revision, "base files": record.base.files_digest[:SHORT],
        "base weights": record.base.weights_digest[:SHORT], "precision": record.base.dtype,
        "template": f"{record.template} ({record.template_hash})", "thinking": record.thinking,
        "quantization": record.quantization, "rope": str(record.load.rope or "none"), "method": record.method,
    }.items()  # fmt: skip
    yield from _flat(record.hyperparameters)
    yield "data", record.data_digest[:SHORT]
    for split, rows in record.split_rows.items():
        yield f"{split} rows", rows
    yield "parents", ", ".join(record.parents) or "none"
    yield "final loss", _rounded(record.final_loss)
    yield "validation loss", _rounded(record.validation_loss)
    yield "backend", record.effective.backend
    yield "attention", record.effective.attention
    yield "device", record.device
    yield "environment", record.environment or "none"
    yield "graftlm", record.graftlm
    yield from record.effective.versions.items()
    yield "plan", record.plan_hash[:SHORT]
    yield "created", record.created
    yield "files", record.digest[:SHORT]


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in to_builtins(values).items():
        said = f"{above}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{said}: ")
        else:
            listed = isinstance(value, list)
            yield said, ", ".join(sorted(map(str, value)) if name in SETS else map(str, value)) if listed else value


def said_value(value: Any) -> str:
    return exact(value) if isinstance(value, float) else str(value)


def _rounded(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def score_rows(one: AdapterRecord, two: AdapterRecord) -> list[tuple[str, str, str, str]]:
    """What either was scored on after it was trained."""
    mine, theirs = _after(one), _after(two)
    keys = [key for key in dict.fromkeys((*mine, *theirs)) if not _quiet(mine.get(key), theirs.get(key))]
    return [(key[0], key[1], _value(mine.get(key)), _value(theirs.get(key))) for key in keys]


def _quiet(*scores: Score | None) -> bool:
    return all(score is None or (score.metric in QUIET and not score.value) for score in scores)


def _after(record: AdapterRecord) -> dict[tuple[str, str, str], Score]:
    """By evaluation, metric and evaluator; the new skill goes by the adapter's name, which may be another in each."""
    return {
        ("new, unseen rows" if s.role == "new" else s.evaluation, s.metric, s.evaluator or s.metric): s
        for s in record.scores
        if s.moment == "after"
    }


def _value(score: Score | None) -> str:
    return "" if score is None else with_interval(score)


def weight_tables(weights: Compared, shown: Sequence[Moved], one: str, two: str) -> str:
    """What they add, module by module or layer by layer, as is ``shown``; then what stands for itself."""
    parts = []
    if shown:
        direction = ", direction only, before the magnitudes" if weights.direction_only else ""
        lines = [
            (m.where, f"{m.first:.4g}", f"{m.second:.4g}", f"{m.apart:.4g}",
             "" if m.cosine is None else f"{m.cosine:+.3f}")
            for m in (*shown, whole("all", weights.moved))
        ]  # fmt: skip
        parts.append(
            f"\nwhat they add to the weights{direction} (Frobenius norm)\n"
            + table(lines, ("where", one, two, "apart", "cosine"))
        )
    if weights.apart:
        only = {"first": f"only in {one}", "second": f"only in {two}", "both": "of other shapes"}
        rows = [(a.where, only[a.has] if a.apart is None else f"{a.apart:.4g}") for a in weights.apart]
        parts.append("\nwhat stands for itself (norm of the difference)\n" + table(rows, ("tensor", "apart")))
    return "\n".join(parts) or "\nthey have no weights"
