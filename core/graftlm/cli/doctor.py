"""``graftlm doctor``: what a report of a problem needs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from graftlm.contracts.situation import Probe
    from graftlm_registry.discovery import Plugin


SECRET = ("TOKEN", "KEY", "SECRET", "PASS", "CRED")
"""Parts of names of variables whose values are nobody's business."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def doctor(as_json: bool) -> None:
    """Versions, devices, drivers, plugins and environments, as a report of a problem needs them."""
    from .tables import table

    found = examination()
    if as_json:
        click.echo(json.dumps(found))
        return
    for title, rows in found.items():
        click.echo(click.style(title, bold=True))
        click.echo(table([(f"  {name}", str(said)) for name, said in rows.items()] or [("  none", "")]))
        click.echo()


def examination() -> dict[str, dict[str, Any]]:
    """What was found, by heading. Nothing here fails because something is broken: that is what is looked for."""
    from graftlm.planning.requirements import missing, unmet_devices
    from graftlm_registry.plugins import registry

    known, (probe, no_probe) = registry(), _probed()
    lacking = {}
    for _, spec in known.contributions():
        why = missing(spec.requires) + (unmet_devices(spec.requires, probe) if probe else [])
        if why and not spec.unavailable and not getattr(spec, "environment", None):
            lacking[f"{spec.kind} {spec.name}"] = "; ".join(why)
    strangers = {
        p.name: f"{p.distribution} {p.version}: {_said(p)}"
        for p in known.plugins
        if not p.built_in or p.problem or p.left_out
    }
    return {
        "graftlm": _graftlm(),
        "packages": _packages(),
        "devices": _devices(probe, no_probe),
        "environments": _environments(),
        "plugins of others": strangers,
        "plugins that cannot be used here": lacking,
        "settings": _settings(),
    }


def _said(plugin: Plugin) -> str:
    """What came of a plugin."""
    if plugin.left_out:
        return f"left out by {plugin.left_out}"
    return plugin.problem or ", ".join(f"{spec.kind} {spec.name}" for spec in plugin.specs)


def _graftlm() -> dict[str, str]:
    import platform
    import shutil
    import sys

    from graftlm.source import code_digest
    from graftlm.version import __version__
    from graftlm_registry.home import home

    place = next(p for p in (home(), *home().parents) if p.exists())
    return {
        "version": f"{__version__}, code {code_digest()}",
        "Python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
        "home": f"{home()}, {shutil.disk_usage(place).free / 1e9:,.0f} GB free",
    }


def _packages() -> dict[str, str]:
    from graftlm.contracts.versions import WATCHED, versions

    found = versions()
    return {name: found.get(name, "not installed") for name in WATCHED}


def _probed() -> tuple[Probe | None, str]:
    """What a worker says of this machine now, or why it says nothing."""
    from graftlm.contracts.errors import GraftlmError
    from graftlm.environments.interpreter import BASE
    from graftlm.environments.probing import ask

    try:
        return ask(BASE), ""
    except GraftlmError as error:
        return None, str(error)


def _devices(probe: Probe | None, no_probe: str) -> dict[str, str]:
    import shutil
    import subprocess

    from .tables import size

    found = {"probe": no_probe} if no_probe else {}
    if probe is not None:
        for number, device in enumerate(probe.devices):
            capability = device.compute_capability
            more = f", compute capability {capability[0]}.{capability[1]}" if capability else ""
            found[f"{device.type} {number}"] = f"{device.name}, {size(device.memory)}{more}"
        found["precisions"] = ", ".join(probe.dtypes)
    found["NVIDIA driver"] = "no nvidia-smi"
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
            found["NVIDIA driver"] = (done.stdout.strip().splitlines() or ["none found"])[0]
        except subprocess.TimeoutExpired:
            found["NVIDIA driver"] = "nvidia-smi does not answer"
    return found


def _environments() -> dict[str, str]:
    from graftlm.contracts.errors import GraftlmError
    from graftlm.contracts.versions import WATCHED
    from graftlm.environments.declared import declared
    from graftlm.environments.state import state_of
    from graftlm_registry.plugins import registry

    try:
        known = declared(registry())
    except GraftlmError as error:
        return {"conflict": str(error)}
    found = {}
    for name, one in known.items():
        state = state_of(one, registry())
        versions = [f"{p} {state.manifest.version(p)}" for p in WATCHED if state.manifest and state.manifest.version(p)]
        found[name] = "; ".join(filter(None, (state.kind, state.why, ", ".join(versions))))
    return found


def _settings() -> dict[str, str]:
    """Variables that change what happens; those that hold a secret are only said to be there."""
    import os

    from graftlm.environments.installers import without_secrets

    prefixes = ("GRAFTLM_", "HF_", "CUDA_", "TORCH_", "PYTORCH_", "UNSLOTH_", "OMP_", "TRANSFORMERS_", "PYTHONPATH")
    return {
        name: "set" if any(word in name for word in SECRET) else without_secrets(value)
        for name, value in sorted(os.environ.items())
        if name.startswith(prefixes)
    }
