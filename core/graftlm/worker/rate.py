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
    """Floating-point operations a second of square matrix products: the best of the repetitions of two seconds. On a
    CPU, of fp32 products both by BLAS and by oneDNN ("medium"): whichever is faster there is what could be reached.
    """
    if device != "cpu" or dtype != "fp32":
        return _rate(device, dtype, SECONDS, events)
    before = torch.get_float32_matmul_precision()
    try:
        rates = []
        for way in ("highest", "medium"):
            torch.set_float32_matmul_precision(way)
            rates.append(_rate(device, dtype, SECONDS / 2, events))
    finally:
        torch.set_float32_matmul_precision(before)
    return max(rates)


def _rate(device: str, dtype: str, seconds: float, events: Events) -> float:
    size = SIZE.get(device, 4096)
    left, right = (torch.randn(size, size, device=device, dtype=DTYPES[dtype]) for _ in range(2))
    best, until = float("inf"), time.perf_counter() + seconds
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
