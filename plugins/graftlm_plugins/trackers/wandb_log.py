"""What W&B's own process has written of an offline run, by its transaction logs.

They are logs as LevelDB has them: blocks of pieces, each with its length and whether it is whole (1), or the first, the
middle or the last of its record. W&B has no reader of them in Python.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK, HEADER, START = 32768, 7, 7
LOGS = "wandb/offline-run-*/run-*.wandb"


def last_step(folder: Path) -> int:
    """The last step whose figures were written below a run's folder; 0 where there is none."""
    steps = (r.history.step.num for path in folder.glob(LOGS) for r in records(path) if r.HasField("history"))
    return max(steps, default=0)


def wait_for_the_end(path: Path, patience: float) -> None:
    """Until a log has its end, at most ``patience`` seconds: on a busy machine W&B's own process writes it some time
    after its library said that all was done, and a run that goes on at once would tell again what was told.
    """
    until = time.monotonic() + patience
    while path.is_file() and not any(r.HasField("exit") for r in records(path)) and time.monotonic() < until:
        time.sleep(0.05)


def records(path: Path) -> Iterator[Any]:
    """The whole records of a log; what a killed process left unfinished at its end is none."""
    from google.protobuf.message import DecodeError
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = path.read_bytes(), START, b""
    while at + HEADER <= len(data):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        piece = data[at + HEADER : at + HEADER + size]
        at += HEADER + size
        if len(piece) < size or kind == 0:
            return
        whole += piece
        if kind in (1, 4):
            record = Record()
            try:
                record.ParseFromString(whole)
            except DecodeError:
                return
            yield record
            whole = b""
