"""pip, or uv where it is asked for: command lines that install into an environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from ast import literal_eval
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from graftlm.contracts.errors import PluginError

Kind = Literal["pip", "uv"]
SECTIONS = ("global", "install", ":env:")
TRUE = ("1", "true", "t", "yes", "y", "on")
"""As pip reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be installed: requirement lines, folders to install editable, files of constraints and overrides."""

    requirements: Sequence[str]
    editable: Sequence[str]
    constraints: Path
    overrides: Path


def pip_command(python: Path, wanted: Wanted) -> list[str]:
    """pip reads the user's own configuration. Overrides are in the wheels already (see ``overriding``)."""
    return [
        str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off",
        "-c", str(wanted.constraints), *_editable(wanted), *wanted.requirements,
    ]  # fmt: skip


def uv_command(python: Path, wanted: Wanted) -> list[str]:
    """uv reads nothing of pip's, so that pip's sources are handed on."""
    return [
        *uv(), "pip", "install", "--python", str(python), "--index-strategy", "unsafe-best-match",
        "-c", str(wanted.constraints), "--override", str(wanted.overrides), *_pip_sources(),
        *_editable(wanted), *wanted.requirements,
    ]  # fmt: skip


def _editable(wanted: Wanted) -> list[str]:
    return [word for folder in wanted.editable for word in ("-e", folder)]


def uv() -> list[str]:
    """``PluginError`` where uv is not there."""
    if found := shutil.which("uv"):
        return [found]
    if find_spec("uv") is not None:
        return [sys.executable, "-m", "uv"]
    raise PluginError("uv is not installed (run: pip install uv), or leave --installer out: pip does it too")


def uv_environ() -> dict[str, str]:
    """pip's certificates too."""
    certificates = _pip_configuration().get("cert", "")
    return {**os.environ, **({"SSL_CERT_FILE": certificates} if certificates else {})}


def _pip_sources() -> list[str]:
    words: list[str] = []
    for key, value in _pip_configuration().items():
        if key in ("index-url", "extra-index-url", "find-links", "trusted-host"):
            flag = "--allow-insecure-host" if key == "trusted-host" else f"--{key}"
            words += [word for part in value.split() for word in (flag, part)]
        elif key == "no-index" and value.lower() in TRUE:
            words.append("--no-index")
    return words


def _pip_configuration() -> dict[str, str]:
    """Settings of pip as 'install' sees them: its own section goes before 'global', and variables before both."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in found:
            found[section][key] = str(literal_eval(value)).strip()  # pip writes it as Python does
    return {key: value for section in SECTIONS for key, value in found[section].items()}
