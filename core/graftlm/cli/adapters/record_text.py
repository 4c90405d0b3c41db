"""Adapter records as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from graftlm.contracts.evaluated import EvaluationRecord
from graftlm.contracts.outcome import Effective
from graftlm.contracts.record import AdapterRecord

from ..forgetting import forgetting_lines
from ..option_words import option_words
from ..scores import pairs, score_table, value, with_interval
from ..tables import table

SPLITS = ("train", "validation", "test")


def summary_table(records: Sequence[AdapterRecord]) -> str:
    """A line an adapter."""
    rows = [
        (
            record.reference,
            record.base.name,
            record.method if record.quantization == "none" else f"{record.method} on {record.quantization}",
            str(record.split_rows.get("train", 0)),
            _headline(record),
            record.created[:16].replace("T", " "),
        )
        for record in records
    ]
    return table(rows, ("adapter", "base", "method", "rows", "unseen rows", "created (UTC)"))


def _headline(record: AdapterRecord) -> str:
    """The first metric of the new skill, before and after."""
    new = [pair for pair in pairs(record.scores) if pair[0].role == "new"]
    return f"{value(new[0][0])} → {value(new[0][1])}" if new else "not scored"


def record_text(record: AdapterRecord, path: Path) -> str:
    """The whole record."""
    base, effective, proof, h = record.base, record.effective, record.proof, record.hyperparameters
    loss = f"{record.final_loss:.4f}"
    if record.validation_loss is not None:
        loss += f", validation {record.validation_loss:.4f}"
    ran = f"{effective.backend}, {effective.attention} attention, {effective.dtype} on {effective.device}"
    rows = [
        ("adapter", f"{record.reference} ({record.kind}), {record.created}"),
        ("base", f"{base.name} ({base.model_type}, {base.source}), trained in {base.dtype}"),
        *([("revision", base.revision)] if base.revision else []),
        ("base weights", base.weights_digest[:16]),
        ("template", f"{record.template} ({record.template_hash})"),
        ("method", _method(record)),
        ("quantization", _quantization(record)),
        *([("rope", str(record.load.rope))] if record.load.rope else []),
        *([("goes on from", ", ".join(record.parents))] if record.parents else []),
        ("data", ", ".join(f"{record.split_rows[s]} {s}" for s in SPLITS if s in record.split_rows) + " rows"),
        ("training", f"{h['steps']} steps of {h['batch_size']} ({h['epochs']:g} epochs), seed {h['seed']}"),
        ("learning rate", f"{h['learning_rate']:g}, {h['schedule']}"),
        ("loss", loss),
        *([("environment", record.environment)] if record.environment else []),
        ("effective", f"{ran}, {effective.adapted_layers} layers adapted"),
        *([("code of others", code_of_others(effective))] if effective.patched else []),
        ("trained", f"{effective.trainable_parameters:,} of {effective.total_parameters:,} parameters"),
        ("effect", f"changes the logits by up to {proof.effect:.3g}; reloaded, they differ by {proof.reload:.3g}"),
        ("versions", ", ".join(f"{name} {v}" for name, v in effective.versions.items())),
        ("plan", record.plan_hash[:16]),
        ("digest", record.digest[:16]),
        ("files", str(path)),
    ]
    forgotten = "\n".join(forgetting_lines(record.changes, record.name))
    parts = [table(rows), *([score_table(record.scores, record.changes)] if record.scores else []), forgotten]
    return "\n\n".join(filter(None, parts))


def evaluations_text(found: Sequence[tuple[EvaluationRecord, Path]]) -> str:
    """Later evaluations: what was asked, how it went, and where the samples are."""
    parts = []
    for record, folder in found:
        where = f" of {record.data}" if record.data else ""
        rows = [(score.evaluation, score.metric, with_interval(score), str(score.n)) for score in record.scores]
        parts += [
            f"evaluated {record.created[:16].replace('T', ' ')} (UTC) on {record.rows} rows{where}",
            table(rows, ("rows", "metric", "score (95%)", "n")),
            f"samples: {folder}\n",
        ]
    return "\n".join(parts).rstrip("\n")


def code_of_others(effective: Effective) -> str:
    """What a backend or an accelerator put in the place of a class's own code, with the modules that have it."""
    return ", ".join(f"{what} ({count})" for what, count in effective.patched.items())


def _method(record: AdapterRecord) -> str:
    known = record.hyperparameters
    said = [f"{name} {known[name]:g}" for name in ("rank", "alpha", "dropout") if known.get(name) is not None]
    on = [f"on {', '.join(known['target_modules'])}"] if known["target_modules"] else []
    options = option_words("method", record.method, known.get("options", {}))
    return ", ".join([record.method, *said, *on, *options])


def _quantization(record: AdapterRecord) -> str:
    effective = record.effective
    if not effective.quantized_layers:
        return record.quantization
    return (
        f"{record.quantization}, {effective.quantized_layers} of {effective.linear_layers} linear layers "
        f"({effective.quantized_share:.0%} of the weights)"
    )
