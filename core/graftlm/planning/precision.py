"""Where a run computes, and in which precision."""

from __future__ import annotations

from graftlm.contracts.config import AUTO
from graftlm.contracts.errors import UsageError
from graftlm.contracts.situation import Probe

from .settings import Settings


def device_of(settings: Settings, probe: Probe) -> str:
    wanted: str = settings["device"]
    if wanted == AUTO:
        return best_device(probe)
    if wanted not in probe.device_types:
        raise UsageError(f"--device {wanted}: this machine has only {', '.join(probe.device_types)}")
    return wanted


def best_device(probe: Probe) -> str:
    return "cuda" if "cuda" in probe.device_types else "cpu"


def dtype_of(settings: Settings, probe: Probe, device: str) -> str:
    wanted: str = settings["dtype"]
    if wanted == AUTO:
        return best_dtype(probe, device)
    if wanted not in probe.dtypes:
        raise UsageError(f"--dtype {wanted}: this machine has only {', '.join(probe.dtypes)}")
    return wanted


def best_dtype(probe: Probe, device: str) -> str:
    """On a GPU bf16, or fp16 where it lacks that (as a T4 does); fp32 elsewhere."""
    if device != "cuda":
        return "fp32"
    return "bf16" if "bf16" in probe.dtypes else "fp16"


OWN = 1 << 30
"""Bytes that Python, its libraries and a GPU's driver take before a model is there."""


def memory_of(probe: Probe, device: str) -> int:
    """Bytes that the device has for a run."""
    return max(0, next((d.memory for d in probe.devices if d.type == device), 0) - OWN)
