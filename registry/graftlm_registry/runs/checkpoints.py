"""The checkpoints of a run: folders that are there whole, with a manifest of digests, or not at all.

``checkpoints/step-0000000040/manifest.json`` names every file beside it with its size and SHA-256, and seals itself.
A new one is staged beside the others, synced, and renamed into its place; only then are old ones removed. What is in
one is the worker's business.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import StoreError
from graftlm.contracts.serial import digest, file_digest, to_json

from ..adapters.durable import sync_file, sync_folder

FORMAT = 1
MANIFEST = "manifest.json"
KEEP = 2
"""How many are kept: the newest, and one before it, should that turn out to be damaged."""
NAME = re.compile(r"step-(\d{10})")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A verified one: its files are those that were written. ``step`` counts finished optimizer steps."""

    folder: Path
    step: int
    bytes: int


class Checkpoints:
    """Those in a folder, which need not be there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._damaged: set[int] = set()  # as the newest one was looked for

    def steps(self) -> list[int]:
        """Of every one that is there, verified or not, the newest first."""
        with suppress(OSError):
            found = (NAME.fullmatch(path.name) for path in self.folder.iterdir())
            return sorted((int(name[1]) for name in found if name), reverse=True)
        return []

    def of(self, step: int) -> Path:
        """The folder of one."""
        return self.folder / _name(step)

    def newest(self, plan: str = "", damaged: Callable[[str], None] = lambda why: None) -> Checkpoint | None:
        """The newest whose every byte is as it was written, of the plan with this hash where one is given; each newer
        one that is not is told to ``damaged``, with the reason.
        """
        for step in self.steps():
            try:
                return verified(self.of(step), plan)
            except StoreError as error:
                self._damaged.add(step)
                damaged(str(error))
        return None

    @contextmanager
    def new(self, step: int, plan: str) -> Iterator[Path]:
        """An empty folder to write into; what is there when the block ends becomes the checkpoint, and old ones go. An
        error leaves nothing behind, and the others as they are.
        """
        if not self.folder.is_dir():
            self.folder.mkdir()  # in a run's folder that is there: a home that was taken away is not begun anew
            sync_folder(self.folder.parent)
        fresh = self.folder / f".{_name(step)}.{os.getpid()}-{os.urandom(4).hex()}"
        fresh.mkdir()
        try:
            yield fresh
            _seal(fresh, step, plan)
            target = self.folder / _name(step)
            if target.exists():  # a damaged one that the run went back behind
                _remove(target)
            fresh.rename(target)
            sync_folder(self.folder)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        self._prune(step)

    def _prune(self, written: int) -> None:
        """Old ones, now that the one that was written stands, synced; those that were found damaged; and those beyond
        it, for the run would have gone on from there.
        """
        self._damaged.discard(written)
        whole = [step for step in self.steps() if step <= written and step not in self._damaged]
        for step in set(self.steps()).difference(whole[:KEEP]):
            _remove(self.folder / _name(step))
        self._damaged.clear()

    def sweep(self) -> None:
        """Remove what a killed writer left. Nobody else may be writing."""
        with suppress(OSError):
            for path in self.folder.iterdir():
                if path.name.startswith("."):
                    shutil.rmtree(path, ignore_errors=True)


def verified(folder: Path, plan: str = "") -> Checkpoint:
    """``StoreError`` that says what is wrong with the checkpoint in this folder."""
    manifest = _manifest(folder)
    if (step := manifest["step"]) != int(folder.name.rpartition("-")[2]):
        raise StoreError(f"checkpoint {folder} says that it is of step {step}")
    if plan and manifest["plan"] != plan:
        raise StoreError(f"checkpoint {folder} is of another plan")
    total = 0
    for name, told in manifest["files"].items():
        path = folder / name
        try:
            size = path.stat().st_size
            if size != told["bytes"] or file_digest(path) != told["sha256"]:
                raise StoreError(f"{path} is not as it was written")
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}") from None
        total += size
    return Checkpoint(folder, step, total)


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        sealed = manifest.pop("sha256")
        if sealed == digest(manifest) and manifest["format"] == FORMAT:
            return manifest
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise StoreError(f"{folder / MANIFEST} is not as it was written")


def _seal(folder: Path, step: int, plan: str) -> None:
    files = {}
    for path in sorted(folder.iterdir()):
        sync_file(path)
        files[path.name] = {"bytes": path.stat().st_size, "sha256": file_digest(path)}
    manifest: dict[str, Any] = {"format": FORMAT, "step": step, "plan": plan, "files": files}
    path = folder / MANIFEST
    path.write_bytes(to_json({**manifest, "sha256": digest(manifest)}))
    sync_file(path)
    sync_folder(folder)


def _name(step: int) -> str:
    return f"step-{step:010}"


def _remove(folder: Path) -> None:
    """Out of sight first: half of one is none."""
    gone = folder.with_name(f".{folder.name}.gone-{os.urandom(4).hex()}")
    with suppress(OSError):
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
