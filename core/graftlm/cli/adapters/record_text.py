"""Adapter records as people read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graftlm.contracts.evaluated import EvaluationRecord
from graftlm.contracts.outcome import Effective, Machine
from graftlm.contracts.record import AdapterRecord
from graftlm.running.score_words import with_interval
from graftlm_registry.adapters.marks import Note

from ..forgetting import forgetting_lines
from ..option_words import option_words
from ..scores import score_table
from ..tables import exact, table
from ..terminal import visible

MOST_TARGETS = 12
"""Names of modules that are shown; an imported adapter may name every one of them."""
LONGEST_NOTE = 300
"""Characters of a note that are shown."""
TRAINING = {
    "batch_size": "{steps} steps of {batch_size} ({epochs:g} epochs), seed {seed}",
    "tokens_per_step": "{steps} steps of about {tokens_per_step:,} tokens ({epochs:g} epochs), seed {seed}",
}
"""By what a step is counted in."""
OWN = " by graftlm_plugins.accelerators."
RATE = "{learning_rate:g}, {schedule}"
SPLITS = ("train", "validation", "test")


def record_text(record: AdapterRecord, path: Path, tags: Sequence[str] = (), notes: Sequence[Note] = ()) -> str:
    """The whole record, with what was said of it since."""
    base, effective, proof = record.base, record.effective, record.proof
    ran = f"{effective.attention} attention, {effective.dtype} on {effective.device}"
    if effective.backend:
        ran = f"{effective.backend}, {ran}"
    rows = [
        ("adapter", f"{record.reference} ({record.kind}), {record.created}"),
        *([("tags", ", ".join(tags))] if tags else []),
        *((f"note {note.created[:10]}", _note(note.text, record.reference)) for note in notes),
        *([("found at", visible(record.source))] if record.source else []),
        ("base", f"{base.name} ({base.model_type}, {base.source}), in {base.dtype}"),
        *([("revision", base.revision)] if base.revision else []),
        ("base weights", base.weights_digest[:16]),
        ("template", f"{record.template} ({record.template_hash})"),
        ("method", _method(record)),
        ("quantization", _quantization(record)),
        *([("rope", str(record.load.rope))] if record.load.rope else []),
        *_origin(record),
        *([("environment", record.environment)] if record.environment else []),
        ("effective", f"{ran}, {effective.adapted_layers} layers adapted"),
        *([("accelerated", accelerated(effective))] if effective.accelerated else []),
        *([("machine", machine_words(effective.machine, effective.dtype))] if effective.machine else []),
        *([("code of others", others)] if (others := code_of_others(effective)) else []),
        ("its size", f"{effective.trainable_parameters:,} of {effective.total_parameters:,} parameters"),
        ("effect", f"changes the logits by up to {proof.effect:.3g}; reloaded, they differ by {proof.reload:.3g}"),
        ("versions", ", ".join(f"{name} {v}" for name, v in effective.versions.items())),
        *([("plan", record.plan_hash[:16])] if record.plan_hash else []),
        ("digest", record.digest[:16]),
        ("files", str(path)),
    ]
    forgotten = "\n".join(forgetting_lines(record.changes, record.reference))
    parts = [table(rows), *([score_table(record.scores, record.changes)] if record.scores else []), forgotten]
    return "\n\n".join(filter(None, parts))


def _note(text: str, reference: str) -> str:
    shown, more = visible(text[:LONGEST_NOTE]), len(text) - LONGEST_NOTE
    return shown if more <= 0 else f"{shown}… ({more:,} characters more: graftlm adapters note {reference})"


def _origin(record: AdapterRecord) -> list[tuple[str, str]]:
    """How it came to be."""
    h = record.hyperparameters
    if record.origin == "imported":
        return [("origin", "imported: nothing is known of its training")]
    if record.origin == "combined":
        weights = h.get("weights") or ()
        parts = [f"{parent} × {weight:g}" for parent, weight in zip(record.parents, weights, strict=False)]
        words = [
            str(h.get("combination", "")),
            *(f"{n} {exact(h[n])}" for n in ("density", "seed") if h.get(n) is not None),
        ]
        return [("combined of", ", ".join(parts or record.parents)), ("combination", ", ".join(words))]
    said = {name for name, value in h.items() if value is not None}
    loss = "" if record.final_loss is None else f"{record.final_loss:.4f}"
    if record.validation_loss is not None:
        loss += f", validation {record.validation_loss:.4f}"
    return [
        *([("goes on from", ", ".join(record.parents))] if record.parents else []),
        ("data", ", ".join(f"{record.split_rows[s]} {s}" for s in SPLITS if s in record.split_rows) + " rows"),
        ("data digest", record.data_digest[:16]),
        *(("training", form.format(**h)) for by, form in TRAINING.items() if said >= {"steps", by, "epochs", "seed"}),
        *([("learning rate", RATE.format(**h))] if said >= {"learning_rate", "schedule"} else []),
        *([("optimizer", _optimizer(h))] if "optimizer" in said else []),
        *([("loss", loss)] if loss else []),
    ]


EXTRAS = {
    "weight_decay": "weight decay", "loraplus_ratio": "LoRA+ ratio", "label_smoothing": "label smoothing",
    "neftune_alpha": "NEFTune alpha", "early_stopping": "early stopping", "kept_step": "kept is step",
}  # fmt: skip


def _optimizer(h: Mapping[str, Any]) -> str:
    """With what few runs have."""
    options = option_words("optimizer", str(h["optimizer"]), h.get("optimizer_options") or {})
    extras = [f"{word} {exact(h[name])}" for name, word in EXTRAS.items() if h.get(name) is not None]
    return ", ".join([str(h["optimizer"]), *options, *extras])


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


def accelerated(effective: Effective) -> str:
    """The accelerators, with what each says that it did."""
    parts = effective.accelerated.items()
    return "; ".join(f"{name} ({', '.join(f'{what} {n}' for what, n in done.items())})" for name, done in parts)


def machine_words(machine: Machine, dtype: str) -> str:
    """What was measured of the machine and taken, and whether another precision would have been clearly faster."""
    by = {"highest": "BLAS", "medium": "oneDNN"}.get(machine.matmul, machine.matmul)
    taken = {name: rate for name, rate in machine.rates.items() if name.startswith(f"{dtype}, {machine.threads} ")}
    own = [rate for name, rate in taken.items() if dtype == "bf16" or name.endswith(machine.matmul)]
    measured = f" {own[0] / 1e9:,.0f} GFLOP/s measured" if own else ""
    words = f"bf16 products{measured}; fp32 ones by {by}" if dtype == "bf16" else f"fp32 products by {by},{measured}"
    faster = f"; {machine.best} multiplies {1 / machine.gain:.1f} times as fast here" if machine.gain < 2 / 3 else ""
    return f"{machine.threads} thread{'s' if machine.threads > 1 else ''}; {words.rstrip(',')}{faster}"


def code_of_others(effective: Effective) -> str:
    """What a backend or a stranger's accelerator put in the place of a class's own code, with the modules that have it;
    what graftlm's own put there is told with them.
    """
    patched = effective.patched.items()
    return ", ".join(f"{what} ({count})" for what, count in patched if OWN not in what)


def _method(record: AdapterRecord) -> str:
    known = record.hyperparameters
    said = [f"{name} {known[name]:g}" for name in ("rank", "alpha", "dropout") if known.get(name) is not None]
    targets = known.get("target_modules") or ()
    on = [f"on {', '.join(targets)}"] if 0 < len(targets) <= MOST_TARGETS else []
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
