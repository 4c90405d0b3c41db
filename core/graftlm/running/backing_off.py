"""Training with less at a time where memory runs out, if the user left that open."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import OutOfMemory
from graftlm.contracts.plan import Plan
from graftlm_registry.plugins import Registry

from .jobs import read_job, train_and_prove, write_job
from .worker_process import OnEvent, StartWorker


def train_with_room(
    plan: Plan, registry: Registry, run: Path, on_event: OnEvent, start: StartWorker
) -> Mapping[str, Any]:
    """``train_and_prove``; where a worker ran out of memory, a new one goes on from the last checkpoint, or from the
    beginning, with smaller micro-batches, down to one sample. A gradient is a sum over samples, in whatever portions.

    Raises ``OutOfMemory``, a sentence, where the user fixed the micro-batch, or one sample is too much.
    """
    while True:
        watch = _Watch(on_event)
        try:
            return train_and_prove(plan, registry, run, watch, start)
        except OutOfMemory as error:
            if not watch.training:
                raise OutOfMemory(_elsewhere(plan, watch.stage, error)) from error.__cause__
            job = read_job(run)
            micro = job.micro_batch or plan.training.micro_batch
            less = smaller(micro, plan.training.batch_size)
            if not open_to_less(plan) or not less:
                raise OutOfMemory(_sentence(plan, micro, less, error)) from error.__cause__
            write_job(run, job, micro_batch=less, too_large=(*job.too_large, micro))
            on_event(
                {
                    "event": "warning",
                    "message": f"no memory for micro-batches of {micro}: going on with {less} in a new process",
                }
            )


class _Watch:
    """Passes events on, and knows whether the worker is ``training``: its model is loaded, and not proved yet."""

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self.training, self.stage = False, "load"

    def __call__(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "effective":
            self.training, self.stage = True, "train"
        elif event["event"] == "progress":
            self.stage = str(event["stage"])
            self.training = self.training and self.stage == "train"
        self._on_event(event)


def _elsewhere(plan: Plan, stage: str, error: OutOfMemory) -> str:
    """Where micro-batches are not what takes the memory."""
    if stage in ("load", "draw random weights"):
        ways = [
            way for way, taken in (("--dtype bf16", plan.dtype != "fp32"), ("--quantization nf4", False)) if not taken
        ]
        return f"there was no memory to load the base: try {' or '.join(ways)}, or a smaller --model ({error})"
    return f"there was no memory in '{stage}', after training: free some, and go on ({error})"


def open_to_less(plan: Plan) -> bool:
    """Whether nobody asked for the micro-batch by its number."""
    return plan.origins.get("micro_batch") != "asked"


def smaller(micro: int, batch: int) -> int:
    """The largest size of at most half that divides the batch (any, where steps are cut by tokens); 0 where none is."""
    return next((size for size in range(micro // 2, 0, -1) if not batch or batch % size == 0), 0)


def _sentence(plan: Plan, micro: int, less: int, error: OutOfMemory) -> str:
    """What would need less, that is not in force yet."""
    training = plan.training
    advice = [
        *([f"--micro-batch {less} (or leave it out)"] if less else []),
        *([] if training.gradient_checkpointing else ["--gradient-checkpointing"]),
        f"a --max-length below {plan.encoding.max_length}",
        *([] if plan.part("quantization").name != "none" or plan.device == "cpu" else ["--quantization nf4"]),
    ]
    return f"there was no memory for micro-batches of {micro}: try {', '.join(advice)} ({error})"
