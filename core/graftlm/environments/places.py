"""Where environments are. (Imports next to nothing: the lists of plugins ask.)"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from graftlm_registry.home import home


def folder_of(name: str) -> Path:
    return home() / "envs" / name


def manifest_of(name: str) -> Path:
    """The file that an environment has once it is whole."""
    return folder_of(name) / "environment.json"


def how_to_make(name: str, download_mb: int, asked: Sequence[str] = ()) -> str:
    """The command, with the requirements that were added, and what it costs."""
    cost = f", which downloads about {download_mb} MB, torch aside" if download_mb else ""
    added = "".join(f" --with '{requirement}'" for requirement in asked)
    return f"run: graftlm envs create {name}{added}{cost}"
