"""Where a worker runs: this interpreter, or that of an environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Interpreter:
    """``environment`` is empty for the base; ``lock`` changes with what is installed, ``made`` is when it was made."""

    python: str = sys.executable
    environment: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    lock: str = ""
    made: str = ""

    def worker(self, *arguments: str) -> list[str]:
        """The command line of a worker. ``-P`` keeps the current folder off its path."""
        return [self.python, "-P", "-m", "graftlm.worker", *arguments]

    def environ(self) -> dict[str, str]:
        """What the process is started with."""
        return {**without_added_paths(os.environ), **self.variables} if self.environment else dict(os.environ)


def without_added_paths(environ: Mapping[str, str]) -> dict[str, str]:
    """Paths that were added to this interpreter are none of another's."""
    return {name: value for name, value in environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


BASE = Interpreter()
