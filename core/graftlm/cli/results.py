"""What came of a run, as people and as programs read it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from graftlm.contracts.outcome import EncodingCounts, Outcome, Spike
from graftlm.contracts.serial import to_builtins
from graftlm.running.loss_picture import NAMES
from graftlm.running.run_results import SUMMARY
from graftlm.running.supervise import Trained

from .adapters.record_text import accelerated, code_of_others, machine_words
from .forgetting import forgetting_lines
from .scores import score_table
from .tables import size

MOST_SPIKES = 3
"""Steps that are told of; the picture and the summary have them all."""


def tell_outcome(trained: Trained, *, as_json: bool) -> None:
    """Print it; exit code 1 where more was forgotten than allowed."""
    click.echo(outcome_json(trained) if as_json else outcome_text(trained))
    if trained.verdict is not None and not trained.verdict.passed:
        raise click.exceptions.Exit(1)


def outcome_json(trained: Trained) -> str:
    """One line: the adapter, the outcome, and where the run's picture and summary are (null: not written)."""
    files = {"picture": NAMES[0], "summary": SUMMARY}
    paths = {what: str(path) if (path := trained.run / name).is_file() else None for what, name in files.items()}
    said = {
        "adapter": trained.record.reference, "run": trained.run.name, **paths, "outcome": to_builtins(trained.outcome)
    }  # fmt: skip
    return json.dumps(said | ({"forgot_too_much": not trained.verdict.passed} if trained.verdict else {}))


def outcome_text(trained: Trained) -> str:
    outcome, effective = trained.outcome, trained.outcome.effective
    validation = "" if outcome.validation_loss is None else f", validation {outcome.validation_loss:.4f}"
    others = code_of_others(effective)
    speed = f"{outcome.tokens_per_second:,.0f} tokens/s, {outcome.total_seconds:.0f} s"
    lines = [
        f"loss {outcome.first_loss:.4f} → {outcome.losses[-1]:.4f}{validation}, {speed}",
        *_ended(outcome),
        *happened(outcome),
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
        *file_lines(trained.run),
    ]
    return "\n".join(lines)


def _ended(outcome: Outcome) -> list[str]:
    """Where training ended before its time, and whose weights are kept where they are not the last."""
    steps = len(outcome.losses)
    why = f"stopped early after step {steps}: the validation loss no longer fell" if outcome.stopped_early else ""
    kept = f"kept are the weights of step {outcome.kept_step}, which had the lowest validation loss"
    return [said for said in (why, kept if 0 < outcome.kept_step < steps else "") if said]


def happened(outcome: Outcome) -> list[str]:
    """What a run went through: where it was gone on with, what did not fit into memory, and losses that stand out."""
    lines = []
    if outcome.resumed:
        after = ", ".join(f"{step:,}" for step in outcome.resumed)
        lines.append(f"stopped, and gone on with after step{'s' * (len(outcome.resumed) > 1)} {after}")
    if outcome.too_large:
        sizes = ", ".join(map(str, outcome.too_large))
        lines.append(f"no memory for micro-batches of {sizes}: trained with {outcome.effective.micro_batch}")
    return lines + spike_lines(outcome.spikes)


def spike_lines(spikes: tuple[Spike, ...]) -> list[str]:
    """In one line, the highest first; none where there are none."""
    if not spikes:
        return []
    highest = sorted(spikes, key=lambda spike: spike.loss - spike.usual, reverse=True)[:MOST_SPIKES]
    told = ", ".join(f"{s.loss:.4f} at step {s.step:,} (usually {s.usual:.4f})" for s in highest)
    more = f", and {len(spikes) - len(highest)} more" if len(spikes) > len(highest) else ""
    return [f"losses that stand out: {told}{more}"]


def file_lines(run: Path) -> list[str]:
    """Where the picture of losses and the summary are, as far as they could be written."""
    files = {"losses as a picture": NAMES[0], "summary, with answers": SUMMARY}
    return [f"{what}: {path}" for what, name in files.items() if (path := run / name).is_file()]


def _otherwise(counts: EncodingCounts) -> list[str]:
    """Rows whose ids are not those of one-piece tokenization, where there are some."""
    if not counts.differing:
        return []
    return [
        f"{counts.differing} of the first {counts.compared} rows have other ids than the tokenizer gives whole texts: "
        "pieces end where an answer begins, and typed control tokens stay words (graftlm data check says which)"
    ]
