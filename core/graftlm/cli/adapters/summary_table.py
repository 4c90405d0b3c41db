"""Many adapters, a line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graftlm.running.score_words import number
from graftlm_registry.adapters.summary import Summary

from ..tables import table


def summary_table(found: Sequence[Summary], tags: Mapping[tuple[str, int], Sequence[str]]) -> str:
    """Columns that would be empty are left out."""
    header = ["adapter", "base", "method", "rows", "unseen rows", "lost", "tags", "created (UTC)"]
    rows = [
        [
            its.adapter,
            its.base,
            its.method if its.quantization == "none" else f"{its.method} on {its.quantization}",
            str(its.rows) if its.origin == "trained" else its.origin,
            _headline(its),
            "" if its.forgot is None else str(its.forgot) if its.forgot else "none",
            ", ".join(tags.get((its.name, its.version), ())),
            its.created[:16].replace("T", " "),
        ]
        for its in found
    ]
    kept = [i for i, name in enumerate(header) if name not in ("lost", "tags") or any(row[i] for row in rows)]
    return table([[row[i] for i in kept] for row in rows], [header[i] for i in kept])


def _headline(its: Summary) -> str:
    """The first metric of the new skill, before and after."""
    if its.after is None:
        return "not scored"
    before = "?" if its.before is None else number(its.before, its.unit)
    return f"{before} → {number(its.after, its.unit)}"
