"""Keeps a benchmark's figures with what they were measured on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from graftlm.contracts.versions import versions

FOLDER = Path(__file__).parent / "results"


def keep(name: str, figures: dict[str, Any], device: str = "cpu") -> Path:
    """Write ``results/DATE-NAME-DEVICE.json`` and say so."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    now = datetime.now(UTC)
    about = {
        "benchmark": name,
        "date": now.isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "device": device,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {_processor()}",
        "python": platform.python_version(),
        "versions": versions(),
    }
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{now:%Y-%m-%d}-{name}-{device}.json"
    path.write_text(json.dumps({**about, **figures}, indent=2) + "\n", encoding="utf-8")
    print(f"kept in {path}")
    return path


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
