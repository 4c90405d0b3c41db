"""How much of a disk a run takes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from .folder import WORK, Run


def freed_by(paths: Iterable[Path]) -> int:
    """Bytes that removing these files and folders would free: not those of files with a link elsewhere, as rows and
    encoded data have. What another process removes meanwhile counts nothing.
    """
    links: Counter[tuple[int, int]] = Counter()
    sizes: dict[tuple[int, int], tuple[int, int]] = {}
    for path in paths:
        for file in _files(path):
            with suppress(OSError):
                facts = file.lstat()
                key = (facts.st_dev, facts.st_ino)
                links[key] += 1
                sizes[key] = (facts.st_size, facts.st_nlink)
    return sum(size for key, (size, count) in sizes.items() if links[key] >= count)


def kept_to_go_on(run: Run) -> int:
    """Bytes that are there only because the run may be gone on with."""
    return freed_by(run.folder / name for name in WORK)


def _files(path: Path) -> Iterable[Path]:
    for folder, _, names in os.walk(path):
        yield from (Path(folder, name) for name in names)
