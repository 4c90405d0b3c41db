"""What a comparison runs on, as a reader of its figures needs it."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from graftlm.contracts.situation import Device


def machine(devices: Sequence[Device], device: str) -> Mapping[str, str]:
    """Device, processor, memory, system, Python."""
    gib = 1 << 30
    found = {d.type: d for d in reversed(devices)}
    chosen = found.get(device)
    about = {"device": f"{chosen.name}, {chosen.memory / gib:.0f} GiB"} if chosen and device != "cpu" else {}
    memory = f", {found['cpu'].memory / gib:.0f} GiB" if "cpu" in found else ""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    about["processor"] = f"{_processor()}, {usable} cores{memory}"
    if threads := os.environ.get("OMP_NUM_THREADS"):
        about["threads"] = threads
    return {**about, "system": platform.platform(), "Python": platform.python_version()}


def git() -> str:
    """The commit of the checkout that graftlm runs from, with ``+`` where files differ from it; else empty."""
    folder = Path(__file__).parent
    try:
        _git(folder, "ls-files", "--error-unmatch", __file__)  # a repository around an installed one is another's
        commit = _git(folder, "rev-parse", "--short=12", "HEAD")
        return commit + "+" * bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
