"""Packages that a run does not need, kept from being imported."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from graftlm_registry.plugins import registry

EAGER = ("bitsandbytes", "torchao")
"""peft and transformers import these wherever they are installed, which takes 1.5 s and 50 MB."""


def hide_unneeded(folder: Path, *, training: bool) -> None:
    """Call in a worker before anything heavy is imported; ``FOLDER`` holds the job's files. ``training``: the backend's
    environment, where it has one, is this one.
    """
    needed = set()
    for name in ("plan.json", "job.json"):
        path = folder / name
        said = json.loads(path.read_bytes()) if path.is_file() else {}
        if said.get("environment") and training:  # a backend's own environment holds what that backend wants
            return
        for kind, chosen in _chosen(said):
            needed |= {requirement.distribution for requirement in registry().find(kind, chosen)[1].requires}
    for package in EAGER:
        if package not in needed:
            sys.modules[package] = None  # type: ignore[assignment]  # "is not there", to whoever asks


def _chosen(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Kind and name of the plugins that a plan or a job names."""
    yield from ((part["kind"], part["name"]) for part in said.get("parts", ()))
    if said.get("load"):
        yield "quantization", said["load"]["quantization"]
    if said.get("kept"):
        yield "method", said["kept"]["method"]
    if said.get("who"):
        yield from _chosen(said["who"])
