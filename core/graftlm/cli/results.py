"""What came of a run, as people and as programs read it."""

from __future__ import annotations

import json

from graftlm.contracts.outcome import Outcome, Score
from graftlm.contracts.serial import to_builtins
from graftlm.running.train import Trained

from .tables import table


def outcome_json(trained: Trained) -> str:
    """One line: the adapter, and the outcome."""
    return json.dumps({"adapter": trained.record.reference, "outcome": to_builtins(trained.outcome)})


def outcome_text(trained: Trained) -> str:
    outcome = trained.outcome
    validation = f", validation {outcome.validation[-1][1]:.4f}" if outcome.validation else ""
    effective = outcome.effective
    lines = [
        f"loss {outcome.first_loss:.4f} → {outcome.losses[-1]:.4f}{validation}, {outcome.tokens_per_second:,.0f} tokens/s, "
        f"{outcome.total_seconds:.0f} s",
        f"{effective.adapted_layers} of {effective.linear_layers} linear layers adapted, "
        f"{effective.trainable_parameters:,} of {effective.total_parameters:,} parameters trained; the base is unchanged",
    ]
    if outcome.scores:
        lines += ["", score_table(outcome)]
    lines += ["", f"kept as {trained.record.reference}", f"  graftlm generate {trained.record.name} \"…\""]
    return "\n".join(lines)


def score_table(outcome: Outcome) -> str:
    """Every score before and after; unseen test rows first."""
    rows = []
    for after in sorted((s for s in outcome.scores if s.moment == "after"), key=lambda s: s.role != "new"):
        before = outcome.score(after.evaluation, after.metric, "before")
        assert before is not None
        rows.append(
            (
                f"{after.evaluation} ({'new, unseen rows' if after.role == 'new' else 'old'})",
                after.metric, _value(before), _value(after), str(after.n),
            )
        )  # fmt: skip
    return table(rows, ("skill", "metric", "before", "after", "n"))


def _value(score: Score) -> str:
    return f"{score.value:.0%}" if score.unit == "fraction" else f"{score.value:.3g}"
