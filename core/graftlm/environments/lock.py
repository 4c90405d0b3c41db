"""One process makes or removes an environment at a time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graftlm.contracts.errors import PluginError


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock of an environment's folder; that of a process that died stops nobody. ``PluginError`` where
    another process holds it.
    """
    lock = folder.with_name(f".{folder.name}.making")
    try:
        lock.mkdir()
    except FileExistsError:
        owner = lock / "process"
        said = owner.read_text() if owner.is_file() else ""
        number = int(said) if said.isdigit() else 0
        if number and _alive(number):
            raise PluginError(f"environment '{folder.name}' is being made by process {number}: wait for it") from None
    try:
        (lock / "process").write_text(str(os.getpid()))
        yield
    finally:
        shutil.rmtree(lock, ignore_errors=True)


def _alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
