"""Overrides for pip, which has none: wheels whose metadata says what the override says."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from .repacking import info_of, write_wheel

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def canonical(requirement: str) -> str:
    """The project's name in a requirement, as indexes compare it."""
    found = NAME.match(requirement.strip())
    return re.sub(r"[-_.]+", "-", found.group()).lower() if found else ""


def extras(requirement: str) -> str:
    """``[a,b]`` of a requirement that asks for them."""
    found = re.match(r"[^;@=<>~!\[]*(\[[^\]]*\])", requirement)
    return found.group(1) if found else ""


def overridden(wheel: Path, overrides: Sequence[str]) -> Path:
    """The wheel itself where it says nothing of what is overridden; else another in its place."""
    instead = {canonical(line): line for line in overrides}
    with zipfile.ZipFile(wheel) as archive:
        info = info_of(archive.namelist(), "METADATA")
        metadata = archive.read(f"{info}/METADATA").decode()
        changed = _rewritten(metadata, instead)
        if changed == metadata:
            return wheel
        contents = {n: archive.read(n) for n in archive.namelist() if not n.endswith("/") and n != f"{info}/RECORD"}
        executable = {entry.filename for entry in archive.infolist() if entry.external_attr >> 16 & 0o111}
    contents[f"{info}/METADATA"] = changed.encode()
    fresh = wheel.with_suffix(".fresh")
    write_wheel(contents, info, fresh, executable)
    return fresh.replace(wheel)


def _rewritten(metadata: str, instead: Mapping[str, str]) -> str:
    """Requirements of an extra stay as they are: nobody asked for it."""
    head, gap, text = metadata.partition("\n\n")
    lines = head.split("\n")
    for i, line in enumerate(lines):
        key, _, value = line.partition(":")
        if key.lower() == "requires-dist" and "extra" not in value.partition(";")[2] and canonical(value) in instead:
            lines[i] = f"Requires-Dist: {instead[canonical(value)]}"
    return "\n".join(lines) + gap + text
