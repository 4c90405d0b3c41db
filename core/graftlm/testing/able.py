"""Whether this machine has what a plugin requires, so that what it does can be looked at."""

from __future__ import annotations

from graftlm.contracts.spec import Requirement, Spec
from graftlm.environments.places import how_to_make, manifest_of
from graftlm.planning.requirements import missing


def unmet(spec: Spec) -> list[str]:
    """Sentences; none where it can run here."""
    if spec.unavailable:
        return [spec.unavailable]
    devices = [why for needed in spec.requires if (why := _device(needed))]
    environment = getattr(spec, "environment", None)
    if environment is None:
        return missing(spec.requires) + devices
    made = manifest_of(environment.name).is_file()
    how = how_to_make(environment.name, environment.download_mb)
    return devices if made else [f"its environment is not made ({how})", *devices]


def _device(needed: Requirement) -> str:
    """Asked of torch, where a device is needed at all."""
    if not needed.device or missing([Requirement(distribution="torch", extra="peft")]):
        return ""
    import torch

    there = needed.device == "cpu" or getattr(torch, needed.device).is_available()
    return "" if there else f"needs a {needed.device} device, and there is none here"
