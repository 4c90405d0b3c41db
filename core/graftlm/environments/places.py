"""Where environments are. (Imports next to nothing: the lists of plugins ask.)"""

from __future__ import annotations

from pathlib import Path

from graftlm_registry.home import home


def folder_of(name: str) -> Path:
    return home() / "envs" / name


def manifest_of(name: str) -> Path:
    """The file that an environment has once it is whole."""
    return folder_of(name) / "environment.json"


def how_to_make(name: str, download_mb: int) -> str:
    """The command, and what it costs."""
    cost = f", which downloads about {download_mb} MB, torch aside" if download_mb else ""
    return f"run: graftlm envs create {name}{cost}"
