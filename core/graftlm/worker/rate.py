"""The job ``rate``: how fast this device multiplies matrices, the most that any training could reach."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path

import torch

from .events import Events
from .load import DTYPES

SIZE = {"cuda": 8192, "cpu": 2048}
"""Rows and columns: large enough that a larger product is no faster."""
SECONDS = 2.0


def rate_job(folder: Path, events: Events) -> None:
    """Measure what ``rate.json`` names: a device and precisions. The last event has operations a second for each."""
    asked = json.loads((folder / "rate.json").read_bytes())
    rates = {}
    for dtype in asked["dtypes"]:
        with suppress(RuntimeError):  # no such products there, or no memory: nothing to compare a run with
            rates[dtype] = matrix_rate(asked["device"], dtype, events)
    events.send("done", rates=rates, threads=torch.get_num_threads())


def matrix_rate(device: str, dtype: str, events: Events) -> float:
    """Floating-point operations a second of square matrix products: the best of the repetitions of two seconds."""
    size = SIZE.get(device, 4096)
    left, right = (torch.randn(size, size, device=device, dtype=DTYPES[dtype]) for _ in range(2))
    best, until = float("inf"), time.perf_counter() + SECONDS
    for i in range(1_000):
        events.checkpoint()
        began = time.perf_counter()
        torch.mm(left, right)
        if device != "cpu":
            getattr(torch, device).synchronize()
        best = min(best, time.perf_counter() - began) if i else best  # the first one prepares
        if time.perf_counter() > until and i >= 2:
            break
    return 2 * size**3 / best
