"""torch and its large companions, linked into an environment instead of downloaded again."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

COMPANIONS = ("nvidia-", "cuda-", "triton", "pytorch-triton")
"""How the names of packages begin that torch brings: the CUDA libraries (some by way of a package that holds nothing
else than their names, as extras), triton.
"""


def shareable() -> list[Distribution]:
    """torch and its companions, as installed here; empty without torch, or where its files are not known."""
    try:
        torch = distribution("torch")
    except PackageNotFoundError:
        return []
    if not torch.files:  # conda's, for one: what lies outside site-packages is needed too
        return []
    found, waiting = [torch], _needed(torch)
    seen = {"torch"}
    for name in waiting:
        if name in seen:
            continue
        seen.add(name)
        try:
            needed = distribution(name)
        except PackageNotFoundError:
            continue
        found.append(needed)
        waiting.extend(_needed(needed))
    return found


def _needed(found: Distribution) -> list[str]:
    names = (re.split(r"[^A-Za-z0-9._-]", line.strip())[0] for line in found.requires or ())
    return [name for name in names if re.sub(r"[._]", "-", name.lower()).startswith(COMPANIONS)]


def _files(found: Distribution) -> Iterator[tuple[str, Path]]:
    """Relative names and paths of what lies in site-packages."""
    for file in found.files or ():
        path = Path(str(file.locate()))
        if not str(file).startswith("..") and "__pycache__" not in file.parts and path.is_file():
            yield str(file), path


def share(shared: list[Distribution], site: Path) -> int:
    """Link their files into an environment's site-packages; the bytes that were linked. Links of the files, not of
    folders: what is uninstalled or replaced there stays here. Another file system gets copies.
    """
    total = 0
    for found in shared:
        for name, path in _files(found):
            target = site / name
            if target.exists():
                continue  # CUDA's packages all name nvidia/__init__.py
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, target)
                total += path.stat().st_size
            except OSError:
                shutil.copy2(path, target)
    return total
