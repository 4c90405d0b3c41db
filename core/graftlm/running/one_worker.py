"""One worker at a time in a folder: the next one waits until an earlier one has left, whoever started that."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from graftlm.contracts.errors import RunError, StoreError

FILE = "worker"
OFTEN = 0.05
"""Seconds between two looks."""


class WorkerLock:
    """``descriptor`` is handed to the worker, which holds the lock by it until it has left."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.descriptor = file.fileno()

    def held_by(self, process: int) -> None:
        """Write that down, where it can be written."""
        with suppress(OSError):
            os.ftruncate(self.descriptor, 0)
            os.write(self.descriptor, f"{process}\n".encode())


@contextmanager
def only_worker(folder: Path, on_event: Callable[[Mapping[str, Any]], None], patience: float) -> Iterator[WorkerLock]:
    """A worker that has lost its supervisor finishes its micro-batch and saves before it leaves. ``RunError`` where one
    does not within ``patience`` seconds.
    """
    try:
        file = (folder / FILE).open("a+", encoding="ascii")
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror}") from None
    with file:
        end, told = time.monotonic() + patience, False
        while not _locked(file):
            if not told:
                on_event({"event": "warning", "message": "waiting for the worker of an earlier process to leave …"})
                told = True
            if time.monotonic() > end:
                raise RunError(
                    f"the worker of an earlier process (number {_holder(folder / FILE)}) is still at work in {folder}, "
                    "and did not leave: end it, and go on then"
                )
            time.sleep(OFTEN)
        yield WorkerLock(file)


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip() or "unknown"
    except (OSError, UnicodeDecodeError):
        return "unknown"
