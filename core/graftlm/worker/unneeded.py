"""Packages that a run does not need, kept from being imported."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from graftlm.contracts.specs import Quantization
from graftlm_registry.plugins import registry

EAGER = ("bitsandbytes", "torchao")
"""peft and transformers import these wherever they are installed, which takes 1.5 s and 50 MB."""


def hide_unneeded(folder: Path) -> None:
    """Call in a worker before anything heavy is imported; ``FOLDER`` holds the job's files."""
    needed = set()
    for name in ("plan.json", "job.json"):
        path = folder / name
        load = json.loads(path.read_bytes()).get("load") if path.is_file() else None
        if load:
            requires = registry().get(Quantization, load["quantization"]).requires
            needed |= {requirement.distribution for requirement in requires}
    for package in EAGER:
        if package not in needed:
            sys.modules[package] = None  # type: ignore[assignment]  # "is not there", to whoever asks
