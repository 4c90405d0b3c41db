"""Whether the kernel killed a worker for memory: by its counters, not by guessing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

OWN = Path("/proc/self/cgroup")
ROOT = Path("/sys/fs/cgroup")
MACHINE = Path("/proc/vmstat")
NAME = "oom_kill"


def kills(*counters: Path) -> int:
    """Processes of this control group that were killed for memory so far; of the whole machine where no group counts
    them; 0 where nobody does. ``counters`` are other files to ask, the first that tells decides.
    """
    counts = (_count(path) for path in counters or (*_own_groups(), MACHINE))
    return next((count for count in counts if count is not None), 0)


def _own_groups() -> Iterator[Path]:
    """Counters of this process's group, of version 2 or 1; a container sees its own as the root."""
    try:
        lines = OWN.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield ROOT / path.lstrip("/") / "memory.events"
        elif "memory" in controllers.split(","):
            yield ROOT / "memory" / path.lstrip("/") / "memory.oom_control"
    yield ROOT / "memory.events"
    yield ROOT / "memory" / "memory.oom_control"


def _count(path: Path) -> int | None:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{NAME} ")), None)
