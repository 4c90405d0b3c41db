"""What a run takes of the machine's memory."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import psutil
import torch

from graftlm.contracts.outcome import MemoryUse
from graftlm.contracts.spec import Spec
from graftlm.contracts.specs import Backend

UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in a unit of ``ru_maxrss``."""


class MemoryMeter:
    """Made before the base is loaded. What the chosen plugins need is imported first, so that it counts as imports."""

    def __init__(self, device: str, specs: Iterable[Spec]) -> None:
        self._device = device
        for module in _modules(specs):
            if find_spec(module) is not None:
                import_module(module)
        self._process = psutil.Process()
        self._imports = self._process.memory_info().rss
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def now(self) -> int:
        """Bytes that are taken at this moment: of the device, or of the process on a CPU."""
        return torch.cuda.memory_allocated() if self._device == "cuda" else self._process.memory_info().rss

    def read(self) -> MemoryUse:
        """The largest so far."""
        cuda = self._device == "cuda"
        return MemoryUse(
            imports=self._imports,
            peak=peak_of_process(),
            device_peak=torch.cuda.max_memory_allocated() if cuda else 0,
            device_reserved=torch.cuda.max_memory_reserved() if cuda else 0,
        )


def largest(one: MemoryUse | None, other: MemoryUse) -> MemoryUse:
    """Of two processes of one run."""
    return other if one is None or one.training < other.training else one


def peak_of_process() -> int:
    """The largest resident size of this process so far, in bytes. Linux hands what ``getrusage`` tells on from the
    process that started this one, however large that was; what it says of the address space begins anew.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def _modules(specs: Iterable[Spec]) -> Iterator[str]:
    for spec in specs:
        yield from (r.distribution.replace("-", "_") for r in spec.requires if r.distribution)
        if isinstance(spec, Backend) and spec.environment is not None:
            yield from spec.environment.imports
