"""Can an environment be used? And if not, why."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from graftlm_registry.plugins import Registry

from .declared import Declared
from .distributions import sources
from .interpreter import Interpreter
from .manifest import Manifest, read_manifest
from .places import folder_of, how_to_make


@dataclass(frozen=True, slots=True)
class State:
    """``why`` says what makes it stale."""

    declared: Declared
    kind: Literal["not made", "half made", "stale", "ready"]
    manifest: Manifest | None = None
    why: str = ""

    @property
    def name(self) -> str:
        return self.declared.environment.name

    @property
    def told(self) -> str:
        """What it is instead of ready, with the line that mends it; empty where it is ready."""
        what = {
            "ready": "",
            "not made": "is not made yet",
            "half made": "is half made: making it was cut short",
            "stale": f"is stale: {self.why}",
        }[self.kind]
        asked = self.manifest.asked if self.manifest else ()
        return what and f"{what} ({how_to_make(self.name, self.declared.environment.download_mb, asked)})"

    @property
    def problem(self) -> str:
        """What keeps a run from it; empty where nothing does."""
        return self.told and f"runs in an environment of its own, which {self.told}"

    def interpreter(self) -> Interpreter:
        """Of an environment that is ready."""
        assert self.manifest is not None
        variables = self.declared.environment.variables
        return Interpreter(
            str(python_of(folder_of(self.name))), self.name, variables, self.manifest.lock, self.manifest.created
        )


def python_of(folder: Path) -> Path:
    """The interpreter of a virtual environment."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def state_of(declared: Declared, registry: Registry) -> State:
    name = declared.environment.name
    manifest = read_manifest(name)
    if manifest is None:
        return State(declared, "half made" if folder_of(name).is_dir() else "not made")
    why = _stale(declared, manifest, registry)
    return State(declared, "stale" if why else "ready", manifest, why)


def _stale(declared: Declared, manifest: Manifest, registry: Registry) -> str:
    """The first reason, as the end of a sentence."""
    if not python_of(folder_of(manifest.name)).exists():
        return "the Python that it was made with is gone"
    if manifest.declaration != declared.digest:
        return f"its {'backend' if declared.backends else 'evaluator'} now declares other requirements"
    present = sources(registry)
    for source in present:
        known = manifest.sources.get(source.name)
        if known is None:
            return f"{source.name}, which has plugins, was installed after it was made"
        if known != source.digest:
            return f"{source.name} is another one than when it was made"
    gone = manifest.sources.keys() - {source.name for source in present}
    return f"{min(gone)}, whose plugins it has, is no longer installed here" if gone else ""
