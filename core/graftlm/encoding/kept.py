"""Encoded splits, kept under what determines them: ``FOLDER/rows.safetensors`` and ``FOLDER/counts.json``."""

from __future__ import annotations

import os
from pathlib import Path

from graftlm.contracts.outcome import EncodingCounts
from graftlm.contracts.serial import from_json, to_json
from graftlm_registry.home import beside, keep_folder, link

ROWS, COUNTS = "rows.safetensors", "counts.json"


def is_kept(folder: Path) -> bool:
    """Whether the folder is there, whole. Asking for it counts as use."""
    try:
        os.utime(folder)
    except OSError:
        return False
    return (folder / ROWS).is_file() and (folder / COUNTS).is_file()


def staging(folder: Path) -> Path:
    """A fresh folder beside the one to be made."""
    fresh = beside(folder)
    fresh.mkdir(parents=True)
    return fresh


def keep_staged(staged: Path, folder: Path, counts: EncodingCounts) -> None:
    """Make a staged folder the kept one."""
    (staged / COUNTS).write_bytes(to_json(counts))
    keep_folder(staged, folder)


def read_counts(path: Path) -> EncodingCounts:
    return from_json(path.read_bytes(), EncodingCounts, str(path))


def lay_out(kept: Path, folder: Path, split: str) -> None:
    """Put a kept split into a run's folder as ``SPLIT.safetensors`` and ``SPLIT.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, suffix in ((ROWS, "safetensors"), (COUNTS, "json")):
        link(kept / name, folder / f"{split}.{suffix}")
