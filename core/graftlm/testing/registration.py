"""What loading a plugin imports, seen in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution

from graftlm.contracts.spec import Spec
from graftlm_registry.discovery import ALLOWED, Plugin

HEAVY = frozenset({
    "accelerate", "bitsandbytes", "datasets", "jax", "keras", "matplotlib", "numpy", "pandas", "peft", "pyarrow",
    "scipy", "sklearn", "tensorflow", "tokenizers", "torch", "transformers", "triton", "trl", "unsloth",
})  # fmt: skip
LOADED = "import sys; from graftlm_registry.plugins import registry; registry(); print(*sys.modules, sep='\\n')"


def heavy_modules(plugin: Plugin, spec: Spec) -> tuple[str, ...]:
    """Top-level modules that must not be there yet: what is known to be heavy, and what the spec requires."""
    theirs = {module for needed in spec.requires for module in _modules(needed.distribution)}
    return tuple(sorted((HEAVY | theirs) & _loaded("none" if plugin.built_in else plugin.name)))


@lru_cache
def _loaded(allowed: str) -> frozenset[str]:
    """What is imported when the built-in plugins and this one are loaded."""
    environment = {**os.environ, ALLOWED: allowed}
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, f"loading plugins in a process of its own failed: {done.stderr.strip()[-300:]}"
    return frozenset(name.partition(".")[0] for name in done.stdout.split())


@lru_cache
def _modules(name: str) -> frozenset[str]:
    """The top-level modules of an installed distribution; none where it is not there."""
    try:
        files = distribution(name).files if name else None
    except PackageNotFoundError:
        return frozenset()
    return frozenset(
        path.parts[0].removesuffix(".py")
        for path in files or ()
        if ".dist-info" not in path.parts[0] and ".." not in path.parts and path.suffix in (".py", ".so", ".pyi")
    )
