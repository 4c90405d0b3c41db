"""One worker at a time in a run: whoever goes on with one waits for the worker that its killed supervisor left."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from graftlm.contracts.errors import RunError
from graftlm_registry.runs.supervisor import WORKER as FILE

from .events import Events

PATIENCE = 180.0
"""Seconds: a worker that nobody supervises leaves at its next micro-batch, and writes a checkpoint before."""
POLL = 0.1


@contextmanager
def alone(run: Path, events: Events) -> Iterator[None]:
    """Two would share the device's memory, and the run's files. ``RunError`` where the other does not leave."""
    with (run / FILE).open("a", encoding="utf-8") as file:
        waited = 0.0
        while not _locked(file):
            events.checkpoint()
            if not waited:
                events.warning("an earlier worker of this run is just leaving: waiting for it")
            if waited > PATIENCE:
                raise RunError(f"an earlier worker of this run does not leave: end the process that holds {run / FILE}")
            time.sleep(POLL)
            waited += POLL
        yield


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
