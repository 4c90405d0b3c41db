"""The record of a finished run, ready to be published."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from graftlm.contracts.config import SETTINGS
from graftlm.contracts.outcome import Outcome
from graftlm.contracts.plan import Plan
from graftlm.contracts.record import AdapterRecord, BaseModel
from graftlm.contracts.serial import file_digest, to_builtins
from graftlm.version import __version__

UNUSUAL = ("weight_decay", "loraplus_ratio", "label_smoothing", "neftune_alpha", "early_stopping")
"""Settings of training that a record holds where they are not the defaults."""


def _unusual(plan: Plan, outcome: Outcome) -> Mapping[str, Any]:
    """Hyperparameters that few runs have."""
    asked = {name: getattr(plan.training, name) for name in UNUSUAL}
    found = {name: value for name, value in asked.items() if value not in (0, SETTINGS[name]["default"])}
    return found | ({"kept_step": outcome.kept_step} if 0 < outcome.kept_step < len(outcome.losses) else {})


def draft(plan: Plan, outcome: Outcome, folder: Path) -> AdapterRecord:
    """The record to publish, its version still open."""
    hyperparameters: Mapping[str, Any] = {
        "rank": plan.method.rank,
        "alpha": plan.method.alpha,
        "dropout": plan.method.dropout,
        "target_modules": plan.method.target_modules,
        "options": plan.method.options,
        "learning_rate": plan.training.learning_rate,
        "schedule": plan.training.schedule,
        "optimizer": plan.part("optimizer").name,
        "optimizer_options": plan.options.get("optimizer", {}),
        "steps": len(outcome.losses),
        "epochs": round(plan.training.epochs * len(outcome.losses) / plan.training.steps, 4),
        "batch_size": plan.training.batch_size or None,
        "tokens_per_step": plan.training.tokens_per_step or None,
        "seed": plan.training.seed,
        "encoding": to_builtins(plan.encoding),
        **_unusual(plan, outcome),
    }
    return AdapterRecord(
        name=plan.name,
        version=0,
        kind=plan.method.keeps,
        digest=outcome.digest,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        run=outcome.run,
        base=BaseModel(
            reference=plan.model.reference,
            name=plan.model.name,
            source=plan.model.source,
            revision=plan.model.revision,
            files_digest=plan.model.digest,
            weights_digest=outcome.proof.base_after,
            dtype=plan.dtype,
            model_type=plan.model.model_type,
            family=plan.model.family,
        ),
        load=plan.load,
        template=plan.template.name,
        template_hash=plan.template.hash,
        tokenizer_hash=file_digest(folder / "tokenizer.json"),
        quantization=plan.part("quantization").name,
        method=plan.method.name,
        hyperparameters=hyperparameters,
        data_digest=plan.data.digest,
        split_rows={split.name: split.rows for split in plan.data.splits},
        plan_hash=plan.hash,
        effective=outcome.effective,
        proof=outcome.proof,
        scores=outcome.scores,
        final_loss=outcome.losses[-1],
        validation_loss=outcome.validation_loss,
        device=plan.probe.devices[0].name if plan.device != "cpu" else plan.probe.devices[-1].name,
        graftlm=__version__,
        parents=(plan.method.parent,) if plan.method.parent else (),
        thinking=plan.encoding.thinking,
        environment=f"{plan.environment} {plan.lock}".strip(),
        changes=outcome.changes,
    )
