"""The device's rate of matrix products, measured once before a comparison."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from graftlm.running.worker_process import OnEvent, StartWorker

Rates = Mapping[tuple[str, str], float]
"""Floating-point operations a second, by device and precision."""


def rates(device: str, dtypes: Iterable[str], work: Path, on_event: OnEvent, start: StartWorker) -> Rates:
    """Of one device; a precision that it has no products in is left out."""
    folder = work / "rate"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rate.json").write_text(json.dumps({"device": device, "dtypes": sorted(set(dtypes))}), encoding="utf-8")
    found: Mapping[str, float] = start("rate", folder, on_event)["rates"]
    return {(device, dtype): rate for dtype, rate in found.items()}
