"""Whether the kernel killed a worker for memory: by its counters, not by guessing."""

from __future__ import annotations

from pathlib import Path

COUNTERS = (
    (Path("/sys/fs/cgroup/memory.events"), "oom_kill"),
    (Path("/sys/fs/cgroup/memory/memory.oom_control"), "oom_kill"),
    (Path("/proc/vmstat"), "oom_kill"),
)
"""Of the process's control group (of version 2 or 1, as a container sees its own), and of the machine."""


def kills(counters: tuple[tuple[Path, str], ...] = COUNTERS) -> int:
    """Processes that were killed for memory so far; 0 where the system does not tell."""
    return sum(_count(path, name) for path, name in counters)


def _count(path: Path, name: str) -> int:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)
