"""Adapter records as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from graftlm.contracts.outcome import Score
from graftlm.contracts.record import AdapterRecord

from .tables import table


def summary_table(records: Sequence[AdapterRecord]) -> str:
    rows = [
        (r.reference, r.base.name, r.method, str(r.split_rows.get("train", 0)), _headline(r.scores), r.created[:16].replace("T", " "))
        for r in records
    ]
    return table(rows, ("adapter", "base", "method", "rows", "unseen rows", "created (UTC)"))


def _headline(scores: Sequence[Score]) -> str:
    """The first metric of the new skill, before and after."""
    new = [s for s in scores if s.role == "new"]
    metric = new[0].metric if new else ""
    values = {s.moment: s for s in new if s.metric == metric}
    return f"{_value(values['before'])} → {_value(values['after'])}" if len(values) == 2 else "not scored"


def record_text(record: AdapterRecord, path: Path) -> str:
    """The whole record."""
    h = record.hyperparameters
    rows = [
        ("adapter", f"{record.reference} ({record.kind}), {record.created}"),
        ("base", f"{record.base.name} ({record.base.model_type}, {record.base.source}), trained in {record.base.dtype}"),
        ("base weights", record.base.weights_digest[:16]),
        ("template", f"{record.template} ({record.template_hash})"),
        ("method", f"{record.method}, rank {h['rank']}, alpha {h['alpha']:g}, on {', '.join(h['target_modules'])}"),
        ("quantization", record.quantization),
        ("data", f"{', '.join(f'{n} {split}' for split, n in record.split_rows.items())} rows"),
        ("training", f"{h['steps']} steps of {h['batch_size']} ({h['epochs']:g} epochs), learning rate {h['learning_rate']:g}, seed {h['seed']}"),
        ("loss", f"{record.final_loss:.4f}" + (f", validation {record.validation_loss:.4f}" if record.validation_loss is not None else "")),
        ("effective", f"{record.effective.backend}, {record.effective.attention} attention, {record.effective.dtype} on {record.effective.device}, "
                      f"{record.effective.adapted_layers} layers adapted, {record.effective.trainable_parameters:,} parameters trained"),
        ("proof", f"changes the logits by up to {record.proof.effect:.3g}; reloaded, they differ by {record.proof.reload:.3g}; the base is unchanged"),
        ("versions", ", ".join(f"{name} {v}" for name, v in record.effective.versions.items())),
        ("plan", record.plan_hash[:16]),
        ("digest", record.digest[:16]),
        ("files", str(path)),
    ]  # fmt: skip
    scores = [
        (s.evaluation, s.role, s.metric, _value(_before(record, s)), _value(s), str(s.n))
        for s in record.scores
        if s.moment == "after"
    ]
    scored = f"\n\n{table(scores, ('skill', 'role', 'metric', 'before', 'after', 'n'))}" if scores else ""
    return table(rows) + scored


def _before(record: AdapterRecord, after: Score) -> Score:
    key = (after.evaluation, after.metric)
    return next(s for s in record.scores if s.moment == "before" and (s.evaluation, s.metric) == key)


def _value(score: Score) -> str:
    return f"{score.value:.0%}" if score.unit == "fraction" else f"{score.value:.3g}"
