"""Is what a plugin needs there? Where not: one sentence with the line that mends it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from graftlm.contracts.spec import Requirement
from graftlm_registry.installed import installed_version

if TYPE_CHECKING:  # 'plugins list' needs packages alone, and must start in a blink
    from graftlm.contracts.situation import Probe


def missing(
    requirements: Iterable[Requirement], installed: Callable[[str], str] | None = None, line: str = ""
) -> list[str]:
    """What this environment's packages lack, or another's, whose versions ``installed`` knows and to which ``line``
    adds.
    """
    return [why for requirement in requirements if (why := _package(requirement, installed, line))]


def unmet_devices(requirements: Iterable[Requirement], probe: Probe) -> list[str]:
    """What this machine's devices lack."""
    return [why for requirement in requirements if (why := _device(requirement, probe))]


def install_line(requirement: Requirement) -> str:
    if requirement.extra:
        return f"pip install 'graftlm[{requirement.extra}]'"
    flags = f"{requirement.flags} " if requirement.flags else ""
    return f"pip install {flags}'{requirement.distribution}{requirement.range}'"


def _package(requirement: Requirement, installed: Callable[[str], str] | None, line: str) -> str:
    if not requirement.distribution:
        return ""
    wanted = f"{requirement.distribution} {requirement.range}".strip()
    found = (installed or installed_version)(requirement.distribution)
    run = f"{line}'{requirement.distribution}{requirement.range}'" if line else install_line(requirement)
    where = "in the backend's environment" if installed else "installed"
    if not found:
        return f"needs {wanted}, which is not {where} (run: {run})"
    low = requirement.minimum and release(found) < release(requirement.minimum)
    if low or (requirement.below and release(found) >= release(requirement.below)):
        return f"needs {wanted}, and {found} is {where} (run: {run})"
    return ""


def release(version: str) -> tuple[int, ...]:
    """The numbers of a version, without what marks a build or a pre-release: 2.13.0+cpu is (2, 13)."""
    numbers = re.match(r"\d+(\.\d+)*", version)
    parts = [int(part) for part in numbers.group().split(".")] if numbers else []
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def _device(requirement: Requirement, probe: Probe) -> str:
    if not requirement.device:
        return ""
    fitting = [d for d in probe.devices if d.type == requirement.device]
    if not fitting:
        return f"needs a {requirement.device} device, and this machine has only {', '.join(probe.device_types)}"
    least = requirement.compute_capability
    if least and all((d.compute_capability or (0, 0)) < least for d in fitting):
        return f"needs compute capability {least[0]}.{least[1]}, which no device here has"
    return ""
