"""The device's rate of matrix products, measured once before a comparison."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from graftlm.running.worker_process import OnEvent, StartWorker


def rates(device: str, dtypes: Iterable[str], work: Path, on_event: OnEvent, start: StartWorker) -> Mapping[str, float]:
    """Floating-point operations a second, by precision."""
    folder = work / "rate"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rate.json").write_text(json.dumps({"device": device, "dtypes": sorted(set(dtypes))}), encoding="utf-8")
    found: Mapping[str, float] = start("rate", folder, on_event)["rates"]
    return found
