"""What a worker says of its machine, kept on disk and asked again when interpreter, packages or devices change."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

from graftlm.contracts.errors import GraftlmError, PluginError, RunError
from graftlm.contracts.serial import from_json, to_json
from graftlm.contracts.situation import Probe
from graftlm.contracts.versions import versions
from graftlm_registry.home import home, keep
from graftlm_registry.installed import installed_version

from .interpreter import BASE, Interpreter

PATIENCE = 180  # seconds


def signature(at: Interpreter = BASE) -> str:
    """Changes when the interpreter, a watched package or the machine's devices do."""
    devices = sorted(str(p) for p in Path("/dev").glob("nvidia*")) if Path("/dev").is_dir() else []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    packages = at.lock if at.environment else versions()
    facts = [platform.node(), at.python, at.made or sys.version, packages, devices, visible]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def probe(at: Interpreter = BASE) -> Probe:
    """The kept answer, or a new one (it takes as long as importing torch)."""
    kept = home() / "probes" / f"{signature(at)}.json"
    if kept.is_file():
        try:
            return from_json(kept.read_bytes(), Probe, str(kept))
        except GraftlmError:
            pass  # of an older form: ask again
    found = ask(at)
    keep(kept, to_json(found))
    return found


def ask(at: Interpreter) -> Probe:
    """Start a worker there. ``RunError`` where it does not answer."""
    if not at.environment and not installed_version("torch"):
        raise PluginError("a worker needs torch, which is not installed (run: pip install 'graftlm[peft]')")
    command = at.worker("--probe")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=at.environ())
    except subprocess.TimeoutExpired:
        raise RunError(f"the device probe did not answer within {PATIENCE} s ({' '.join(command)})") from None
    except OSError as error:
        raise RunError(f"{at.python} cannot be started: {error.strerror}") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RunError(f"the device probe failed: {last} (run it yourself: {' '.join(command)})")
    return from_json(done.stdout.strip().splitlines()[-1], Probe, "the device probe's answer")
