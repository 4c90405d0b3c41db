"""What is measured of a run."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping

from .model import Measure
from .results import RunResult

MEASURES = (
    Measure(name="tokens_per_second", label="tokens/s", unit="tokens/s", higher_is_better=True, compared=True),
    Measure(name="trained_tokens_per_second", label="trained tokens/s", unit="tokens/s", higher_is_better=True),
    Measure(name="step_seconds", label="step time", unit="s", higher_is_better=False),
    Measure(name="first_step_seconds", label="time to first step", unit="s", higher_is_better=False, compared=True),
    Measure(name="peak_memory", label="peak memory", unit="bytes", higher_is_better=False, compared=True),
    Measure(name="reserved_memory", label="reserved memory", unit="bytes", higher_is_better=False),
    Measure(name="adapter_bytes", label="adapter", unit="bytes", higher_is_better=False),
    Measure(name="final_loss", label="final loss", unit="nats", higher_is_better=False),
    Measure(name="validation_loss", label="validation loss", unit="nats", higher_is_better=False),
    Measure(name="joules_per_token", label="energy", unit="J/token", higher_is_better=False),
    Measure(name="flops_per_second", label="arithmetic", unit="FLOP/s", higher_is_better=True),
    Measure(name="share_of_rate", label="of the matrix rate", unit="fraction", higher_is_better=True),
)


def measured(run: RunResult, warmup: int) -> Mapping[str, float]:
    """By measure's name; one that the run does not tell is left out. Speeds are of the steps after the warm-up."""
    steps = run.steps[min(warmup, len(run.steps) - 1) :]
    seconds = sum(step.seconds for step in steps)
    flops = sum(step.flops for step in steps) / seconds
    memory = run.memory
    found = {
        "tokens_per_second": sum(step.tokens for step in steps) / seconds,
        "trained_tokens_per_second": sum(step.trained for step in steps) / seconds,
        "step_seconds": statistics.median(step.seconds for step in steps),
        "first_step_seconds": run.first_step_seconds,
        "peak_memory": (memory.device_peak or memory.peak) if memory else 0,
        "reserved_memory": memory.device_reserved if memory else 0,
        "adapter_bytes": run.adapter_bytes,
        "final_loss": run.steps[-1].loss,
        "flops_per_second": flops,
        "share_of_rate": flops / run.rate if run.rate else 0,
        "joules_per_token": (run.energy or 0) / sum(step.tokens for step in run.steps),
    }
    if run.validation:
        losses = [loss for _, loss in run.validation]  # of the weights that are kept
        found["validation_loss"] = min(losses) if run.plan.training.keep == "best" else losses[-1]
    kept = {name: float(value) for name, value in found.items() if value and math.isfinite(value)}
    return {**kept, **{name: value for name, (value, _) in scores(run).items()}}


def scores(run: RunResult) -> Mapping[str, tuple[float, Measure]]:
    """Evaluations after training, where the run was scored."""
    return {
        f"{s.evaluation}.{s.metric}": (
            s.value,
            Measure(
                name=f"{s.evaluation}.{s.metric}", label=f"{s.evaluation} {s.metric}", unit=s.unit,
                higher_is_better=s.higher_is_better,
            ),
        )
        for s in run.scores
        if s.moment == "after"
    }  # fmt: skip
