"""How a run was left: one small file, written whole by its supervisor when it leaves."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from graftlm.contracts.errors import GraftlmError
from graftlm.contracts.serial import from_json, to_json

from ..home import keep

FILE = "ended.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """``time`` is in seconds since 1970. ``message`` says why it did not finish."""

    state: Literal["done", "stopped", "failed"]
    message: str = ""
    exit_code: int = 0
    time: float = 0.0


def write_ending(folder: Path, ending: Ending) -> None:
    """Where it cannot be written, the run looks as if its supervisor had been killed."""
    if folder.is_dir():
        keep(folder / FILE, to_json(replace(ending, time=round(time.time(), 3))))


def read_ending(folder: Path) -> Ending | None:
    """None where nobody wrote one, or it cannot be read."""
    try:
        return from_json((folder / FILE).read_bytes(), Ending, FILE)
    except (OSError, GraftlmError):
        return None


def forget_ending(folder: Path) -> None:
    (folder / FILE).unlink(missing_ok=True)
