"""Who supervises a run: one process at a time, by a lock that its death lets go."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from graftlm.contracts.errors import StoreError, UsageError

FILE = "lock"
TRIES = 20


@dataclass(frozen=True, slots=True)
class Supervisor:
    """A process on this machine. ``detached``: nobody's terminal shows it. ``since`` is in seconds since 1970."""

    process: int
    detached: bool
    since: float


@contextmanager
def supervising(folder: Path, *, detached: bool = False) -> Iterator[None]:
    """Be the one who supervises the run; ``UsageError`` where another process does."""
    try:
        file = (folder / FILE).open("a+", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror}") from None
    with file:
        if not _locked(file):
            held = _read(folder)
            who = f"process {held.process}" if held else "another process"
            raise UsageError(
                f"run {folder.name} is being carried out by {who}: graftlm runs logs --follow {folder.name} shows it, "
                f"graftlm runs stop {folder.name} stops it"
            ) from None
        os.set_inheritable(file.fileno(), False)  # a worker must not hold it any longer than its supervisor
        file.truncate(0)
        file.write(json.dumps({"process": os.getpid(), "detached": detached, "since": round(time.time(), 3)}))
        file.flush()
        yield


def _locked(file: IO[str]) -> bool:
    """Somebody who only looks holds it for a moment."""
    for _ in range(TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.01)
    return False


def supervisor_of(folder: Path) -> Supervisor | None:
    """None where no process holds the lock."""
    try:
        with (folder / FILE).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _read(folder)
    except OSError:
        pass
    return None


def _read(folder: Path) -> Supervisor | None:
    try:
        return Supervisor(**json.loads((folder / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # it is just being written
