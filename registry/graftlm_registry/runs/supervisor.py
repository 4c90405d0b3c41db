"""Who supervises a run: one process at a time, by a lock that its death lets go."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from graftlm.contracts.errors import StoreError, UsageError

FILE, WORKER = "lock", "worker"
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
        file = (folder / FILE).open("ab+", buffering=0)
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
        with suppress(OSError):  # on a full disk nobody knows who it is, and it is held all the same
            told = {"process": os.getpid(), "detached": detached, "since": round(time.time(), 3)}
            file.write(json.dumps(told).encode())
        try:
            yield
        finally:
            file.truncate(0)  # whoever comes next must not be taken for this process


def _locked(file: IO[bytes]) -> bool:
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
    for _ in range(TRIES):
        if not _held(folder / FILE):
            return None
        if found := _read(folder):
            return found
        time.sleep(0.01)  # it is just being written
    return Supervisor(0, detached=False, since=0.0)


def worker_is_there(folder: Path) -> bool:
    """Whether a worker is at work in the run: it may outlive its supervisor by a micro-batch and a checkpoint."""
    return _held(folder / WORKER)


def stop_supervisor(folder: Path) -> Supervisor | None:
    """Send SIGTERM to whoever holds the lock; None where nobody does. ``UsageError`` where that is no process that this
    one can reach: a number alone may be another's by now.
    """
    found = supervisor_of(folder)
    if found is None:
        return None
    beyond = UsageError(
        f"run {folder.name} is carried out by process {found.process} of another machine, container or user: stop it "
        "there"
    )
    if not found.process or not _has_open(found.process, folder / FILE):
        raise beyond
    try:
        os.kill(found.process, signal.SIGTERM)
    except ProcessLookupError:
        return None  # it has just left
    except PermissionError:
        raise beyond from None
    return found


def _has_open(process: int, path: Path) -> bool:
    """Whether the process has the file open; True where the system does not tell (without ``/proc``)."""
    if not Path("/proc/self/fd").is_dir():
        return True
    with suppress(OSError):  # it is gone, or another user's
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                if descriptor.samefile(path):
                    return True
    return False


def _held(lock: Path) -> bool:
    """Whether any process has the lock. One that is not there, or cannot be read, is held by nobody."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _read(folder: Path) -> Supervisor | None:
    try:
        return Supervisor(**json.loads((folder / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
