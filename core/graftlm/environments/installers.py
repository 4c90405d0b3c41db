"""pip, or uv where it is asked for: command lines that install into an environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from ast import literal_eval
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from graftlm.contracts.errors import PluginError

from .interpreter import without_added_paths

Kind = Literal["pip", "uv"]
SECTIONS = ("global", "install", ":env:")
TRUE = ("1", "true", "t", "yes", "y", "on")
"""As pip reads it."""
UV_VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
}
"""uv's variable for a setting of pip."""
ELSEWHERE = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_PYTHON", "PIP_REQUIRE_VIRTUALENV")
"""Variables by which pip would install somewhere else, or not at all."""


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
        str(python), "-P", "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off",
        "-c", str(wanted.constraints), *_editable(wanted), *wanted.requirements,
    ]  # fmt: skip


def uv_command(python: Path, wanted: Wanted) -> list[str]:
    """uv reads nothing of pip's, so that pip's sources are handed on."""
    return [
        *uv(), "pip", "install", "--python", str(python), "--index-strategy", "unsafe-best-match",
        "-c", str(wanted.constraints), "--override", str(wanted.overrides), *_pip_switches(),
        *_editable(wanted), *wanted.requirements,
    ]  # fmt: skip


def _editable(wanted: Wanted) -> list[str]:
    return [word for folder in wanted.editable for word in ("-e", folder)]


def uv() -> list[str]:
    """``PluginError`` where uv is not there."""
    if found := shutil.which("uv"):
        return [found]
    if find_spec("uv") is not None:
        return [sys.executable, "-P", "-m", "uv"]
    raise PluginError("uv is not installed (run: pip install uv), or leave --installer out: pip does it too")


def uv_environ() -> dict[str, str]:
    """pip's sources and certificates, by variables: on a command line everybody would read the secrets in them."""
    said = _pip_configuration()
    found = {variable: said[key] for key, variable in UV_VARIABLES.items() if said.get(key)}
    if "UV_FIND_LINKS" in found:
        found["UV_FIND_LINKS"] = ",".join(found["UV_FIND_LINKS"].split())
    return {**os.environ, **found}


def of_installers(environ: Mapping[str, str]) -> dict[str, str]:
    """Without what would lead an installer to another place than the new environment."""
    return {name: value for name, value in without_added_paths(environ).items() if name not in ELSEWHERE}


def without_secrets(text: str) -> str:
    """Names and passwords in addresses left out."""
    return re.sub(r"(//)[^/@\s]+@", r"\1…@", text)


def _pip_switches() -> list[str]:
    said = _pip_configuration()
    hosts = [word for host in said.get("trusted-host", "").split() for word in ("--allow-insecure-host", host)]
    return [*hosts, *(["--no-index"] if said.get("no-index", "").lower() in TRUE else [])]


def _pip_configuration() -> dict[str, str]:
    """Settings of pip as 'install' sees them: its own section goes before 'global', and variables before both."""
    command = [sys.executable, "-P", "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:  # without them it would look for packages elsewhere than the user means
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise PluginError(f"pip, whose package sources uv is given, does not answer: {said} (run: python -m ensurepip)")
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in found:
            found[section][key] = str(literal_eval(value)).strip()  # pip writes it as Python does
    return {key: value for section in SECTIONS for key, value in found[section].items()}
