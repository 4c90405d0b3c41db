"""Is what a plugin needs there? Where not: one sentence with the line that mends it."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from graftlm.contracts.situation import Probe
from graftlm.contracts.spec import Requirement


def missing(requirements: Iterable[Requirement]) -> list[str]:
    """What this environment's packages lack."""
    return [why for requirement in requirements if (why := _package(requirement))]


def unmet_devices(requirements: Iterable[Requirement], probe: Probe) -> list[str]:
    """What this machine's devices lack."""
    return [why for requirement in requirements if (why := _device(requirement, probe))]


def install_line(requirement: Requirement) -> str:
    if requirement.extra:
        return f"pip install 'graftlm[{requirement.extra}]'"
    return f"pip install '{requirement.distribution}{requirement.version}'"


def _package(requirement: Requirement) -> str:
    if not requirement.distribution:
        return ""
    wanted = f"{requirement.distribution} {requirement.version}".strip()
    try:
        found = version(requirement.distribution)
    except PackageNotFoundError:
        return f"needs {wanted}, which is not installed (run: {install_line(requirement)})"
    if requirement.version:
        from packaging.specifiers import SpecifierSet

        if not SpecifierSet(requirement.version).contains(found, prereleases=True):
            return f"needs {wanted}, and {found} is installed (run: {install_line(requirement)})"
    return ""


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
