"""The energy that a run takes, where the machine tells it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


class EnergyMeter:
    """Counts from when it is made. On a GPU it is NVML's counter of that GPU, elsewhere the processors' own (RAPL): of
    the whole device, other programs' share included.
    """

    def __init__(self, device: str) -> None:
        self._read = _of_gpu() if device == "cuda" else _of_processors()
        self._before = self._read() if self._read else 0.0

    def joules(self) -> float | None:
        """Since it was made; None where nothing tells."""
        with suppress(OSError, ValueError):
            return self._read() - self._before if self._read else None
        return None


def _of_gpu() -> Callable[[], float] | None:
    """NVML counts millijoules since the driver was loaded."""
    try:
        import torch

        pynvml = import_module("pynvml")
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        uuid = str(torch.cuda.get_device_properties(torch.cuda.current_device()).uuid)
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith("GPU-") else f"GPU-{uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError:
        return None
    return lambda: float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3


def _of_processors() -> Callable[[], float] | None:
    """Each processor counts microjoules, up to a largest value from which it begins anew."""
    counters = [_Counter(folder) for folder in sorted(POWERCAP.glob("intel-rapl:[0-9]*")) if _is_processor(folder)]
    readable = []
    for counter in counters:
        with suppress(OSError, ValueError):
            counter.joules()
            readable.append(counter)
    return (lambda: sum(counter.joules() for counter in readable)) if readable else None


def _is_processor(folder: Path) -> bool:
    """Not a part of one, and not the whole platform (``psys``), which has the processors in it."""
    name = folder / "name"
    with suppress(OSError):
        return ":" not in folder.name.partition(":")[2] and name.read_text().startswith("package")
    return False


class _Counter:
    def __init__(self, folder: Path) -> None:
        self._value, self._most = folder / "energy_uj", folder / "max_energy_range_uj"
        self._last, self._turns = 0, 0

    def joules(self) -> float:
        now = int(self._value.read_text())
        self._turns += now < self._last
        self._last = now
        return (now + self._turns * int(self._most.read_text())) / 1e6
