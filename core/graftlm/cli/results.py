"""What came of a run, as people and as programs read it."""

from __future__ import annotations

import json

from graftlm.contracts.outcome import EncodingCounts, Outcome
from graftlm.contracts.serial import to_builtins
from graftlm.running.train import Trained

from .adapters.record_text import accelerated, code_of_others, machine_words
from .forgetting import forgetting_lines
from .scores import score_table
from .tables import size


def outcome_json(trained: Trained) -> str:
    """One line: the adapter, and the outcome."""
    said = {"adapter": trained.record.reference, "outcome": to_builtins(trained.outcome)}
    return json.dumps(said | ({"forgot_too_much": not trained.verdict.passed} if trained.verdict else {}))


def outcome_text(trained: Trained) -> str:
    outcome, effective = trained.outcome, trained.outcome.effective
    validation = "" if outcome.validation_loss is None else f", validation {outcome.validation_loss:.4f}"
    others = code_of_others(effective)
    speed = f"{outcome.tokens_per_second:,.0f} tokens/s, {outcome.total_seconds:.0f} s"
    lines = [
        f"loss {outcome.first_loss:.4f} → {outcome.losses[-1]:.4f}{validation}, {speed}",
        *_ended(outcome),
        f"{effective.adapted_layers} of {effective.linear_layers} linear layers adapted, "
        f"{effective.trainable_parameters:,} of {effective.total_parameters:,} parameters trained"
        + (f", {effective.quantized_layers} layers quantized" if effective.quantized_layers else "")
        + (f", {size(outcome.memory.training)} of memory" if outcome.memory else ""),
        *[f"accelerated by {accelerated(effective)}"] * bool(effective.accelerated),
        *(
            [f"measured of this machine: {machine_words(effective.machine, effective.dtype)}"]
            if effective.machine
            else []
        ),
        *[f"computed by other code than transformers' and PEFT's: {others}"] * bool(others),
        "proved: it changes the outputs, the files reload as trained, the base is unchanged",
        *_otherwise(outcome.encoding),
        "",
        score_table(outcome.scores, outcome.changes) if outcome.scores else "not scored: there are no test rows",
        "",
        *forgetting_lines(outcome.changes, trained.record.name),
        *([trained.verdict.said] if trained.verdict else []),
        f"kept as {trained.record.reference}",
    ]
    return "\n".join(lines)


def _ended(outcome: Outcome) -> list[str]:
    """Where training ended before its time, and whose weights are kept where they are not the last."""
    steps = len(outcome.losses)
    why = f"stopped early after step {steps}: the validation loss no longer fell" if outcome.stopped_early else ""
    kept = f"kept are the weights of step {outcome.kept_step}, which had the lowest validation loss"
    return [said for said in (why, kept if 0 < outcome.kept_step < steps else "") if said]


def _otherwise(counts: EncodingCounts) -> list[str]:
    """Rows whose ids are not those of one-piece tokenization, where there are some."""
    if not counts.differing:
        return []
    return [
        f"{counts.differing} of the first {counts.compared} rows have other ids than the tokenizer gives whole texts: "
        "pieces end where an answer begins, and typed control tokens stay words (graftlm data check says which)"
    ]
