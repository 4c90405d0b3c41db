"""A folder that a command is asked to write: new, and there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from graftlm.contracts.errors import StoreError, UsageError


def check_out(out: Path) -> None:
    """``UsageError`` where the folder is not empty, or cannot be one."""
    nearest = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise UsageError(f"--out {out}: {nearest} is a file: give a new folder")
    if nearest == out and any(out.iterdir()):
        raise UsageError(f"--out {out} is not empty: give a new folder")


@contextmanager
def written(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` to write into, which becomes it at the end; ``StoreError`` where it cannot be written."""
    check_out(out)
    out = out.resolve()
    partial = out.with_name(f".{out.name}.partial-{os.urandom(3).hex()}")
    try:
        _explained(out, lambda: partial.mkdir(parents=True))
        yield partial
        _explained(out, lambda: partial.replace(out))
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _explained(out: Path, act: Callable[[], object]) -> None:
    try:
        act()
    except OSError as error:
        raise StoreError(f"{out} cannot be written: {error.strerror or error}") from None
