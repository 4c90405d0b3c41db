"""A worker's job in this process: importing torch once serves many runs."""

from __future__ import annotations

import gc
import json
import os
import signal
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from graftlm.contracts.config import RunConfig
from graftlm.environments.interpreter import BASE, Interpreter
from graftlm.planning.resolve import resolve
from graftlm.running.train import Trained, carry_out
from graftlm.running.worker_process import OnEvent, run_worker
from graftlm_registry.plugins import registry


def train_in_process(**settings: Any) -> Trained:
    """A whole run with these settings of a ``RunConfig``, its worker in this process: what a plugin's test may ask."""
    return carry_out(resolve(RunConfig(**settings), registry()), registry(), lambda event: None, start=start_in_process)


def start_in_process(job: str, folder: Path, on_event: OnEvent, /, at: Interpreter = BASE) -> Mapping[str, Any]:
    """Like ``run_worker``, but exceptions arrive as they are raised, and events all at the end. A backend's own
    environment is a process of its own here too.
    """
    if at.environment:
        return run_worker(job, folder, on_event, at=at)
    from accelerate.state import AcceleratorState

    from graftlm.worker.__main__ import JOBS
    from graftlm.worker.events import Events

    module, name = JOBS[job]
    carry_out = getattr(import_module(f"graftlm.worker.{module}"), name)
    path = folder / "events.jsonl"
    before = path.stat().st_size if path.is_file() else 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    gc.freeze()  # a worker collects before its proof, and the libraries' objects are many
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        carry_out(folder, Events(descriptor))
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)  # one process, one precision, says accelerate
        os.close(descriptor)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        events = [json.loads(line) for line in path.read_bytes()[before:].splitlines()]
        for event in events:
            on_event(event)
    last: Mapping[str, Any] = events[-1]
    return last
