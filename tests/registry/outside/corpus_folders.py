"""Hostile folders: what only looks like an adapter's files."""

from __future__ import annotations

import os
import pickle
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from good_adapter import CONFIG, GOOD, WEIGHTS, Case, write

CANARY = "canary"


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.canary}",)


def spoiled(name: str, how: Callable[[Path], object], says: str) -> Case:
    """A sound adapter's folder, spoiled."""

    def build(folder: Path) -> Path:
        made = write(folder)
        how(made)
        return made

    return Case(name, build, says)


def pickled(name: str, alone: bool = True) -> Callable[[Path], None]:
    def how(folder: Path) -> None:
        if alone:
            (folder / WEIGHTS).unlink()
        (folder / name).write_bytes(pickle.dumps(Evil(folder.parent / CANARY)))

    return how


def instead(name: str, how: Callable[[Path], object]) -> Callable[[Path], None]:
    """Something else in the place of a file."""

    def made(folder: Path) -> None:
        (folder / name).rename(folder.parent / name)
        how(folder / name)

    return made


def sock(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)  # a socket's address is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


def alone(name: str, how: Callable[[Path], object], says: str) -> Case:
    """A source that is no folder."""

    def build(folder: Path) -> Path:
        folder.mkdir(parents=True)
        how(folder / "source")
        return folder / "source"

    return Case(name, build, says)


def pickle_file(ending: str, says: str) -> Case:
    def build(folder: Path) -> Path:
        folder.mkdir(parents=True)
        path = folder / f"adapter{ending}"
        path.write_bytes(pickle.dumps(Evil(folder / CANARY)))
        return path

    return Case(f"a pickle by itself, {ending or 'without an ending'}", build, says)


def sparse(size: int) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, size) if path.exists() else path.touch() or os.truncate(path, size)


def checkpoints(folder: Path) -> None:
    for step in (10, 20):
        shutil.copytree(folder, folder.parent / f"checkpoint-{step}")
    shutil.rmtree(folder)
    folder.mkdir()
    for step in (10, 20):
        (folder.parent / f"checkpoint-{step}").rename(folder / f"checkpoint-{step}")


def crowded(folder: Path) -> None:
    for i in range(10_001):
        (folder / f"f{i}").touch()


CASES = [
    *(
        spoiled(f"a pickle alone, {name}", pickled(name), "save_pretrained, which writes adapter_model.safetensors")
        for name in ("adapter_model.bin", "adapter_model.pt", "adapter.PKL", "last.ckpt", "weights.pth")
    ),
    *(pickle_file(ending, "pickle") for ending in (".bin", ".pt", ".pkl", ".ckpt", "", ".zip", ".safetensors")),
    spoiled("a link for the weights", instead(WEIGHTS, lambda path: path.symlink_to(f"../{WEIGHTS}")), "is a link"),
    spoiled(
        "a link for the configuration", instead(CONFIG, lambda path: path.symlink_to("/etc/hostname")), "is a link"
    ),
    spoiled("a link to nothing", instead(CONFIG, lambda path: path.symlink_to("nowhere")), "is a link"),
    spoiled("a link to itself", instead(CONFIG, lambda path: path.symlink_to(path.name)), "is a link"),
    spoiled(
        "a link for the template",
        lambda folder: (folder / "chat_template.jinja").symlink_to("/etc/passwd"),
        "is a link",
    ),
    spoiled("a link to endless zeros", instead(WEIGHTS, lambda path: path.symlink_to("/dev/zero")), "is a link"),
    spoiled("a pipe for the weights", instead(WEIGHTS, os.mkfifo), "neither a regular file"),
    spoiled("a pipe for the configuration", instead(CONFIG, os.mkfifo), "neither a regular file"),
    spoiled("a socket for the weights", instead(WEIGHTS, sock), "neither a regular file"),
    spoiled("a folder for the weights", instead(WEIGHTS, Path.mkdir), "is a folder"),
    spoiled("a folder for the configuration", instead(CONFIG, Path.mkdir), "is a folder"),
    spoiled("no weights", lambda folder: (folder / WEIGHTS).unlink(), "no adapter_model.safetensors"),
    spoiled("no configuration", lambda folder: (folder / CONFIG).unlink(), "no adapter_config.json"),
    spoiled("nothing", lambda folder: [path.unlink() for path in folder.iterdir()], "no adapter_model.safetensors"),
    spoiled("checkpoints", checkpoints, "checkpoint-10.*checkpoint-20"),
    spoiled("names that differ by case", lambda folder: (folder / CONFIG.upper()).touch(), "twice"),
    spoiled("11,000 files", crowded, "10,000"),
    spoiled("weights of a terabyte that are a hole", instead(WEIGHTS, sparse(1 << 40)), "at the most"),
    spoiled(
        "weights with a hole behind them",
        lambda folder: os.truncate(folder / WEIGHTS, 8 << 30),
        "almost nothing but zeros|no room",
    ),
    spoiled("a configuration that is a hole", instead(CONFIG, sparse(20 << 20)), "adapter_config.json has"),
    spoiled(
        "a whole model", lambda folder: (folder / WEIGHTS).rename(folder / "model.safetensors"), "no adapter_model"
    ),
    alone("a pipe for a source", os.mkfifo, "neither a regular file"),
    alone("a socket for a source", sock, "neither a regular file"),
    alone("no source", lambda path: None, "no such folder"),
    alone("a source that links to itself", lambda path: path.symlink_to(path.name), "no such folder"),
    alone("a source that is endless", lambda path: path.symlink_to("/dev/zero"), "neither a regular file"),
    Case("weights alone", lambda folder: write(folder, config=GOOD) / WEIGHTS, "one file of an adapter"),
    Case("a configuration alone", lambda folder: write(folder) / CONFIG, "neither a folder nor an archive"),
    Case("a NUL in the source's name", lambda folder: Path(f"{folder}/a\0b"), "no such folder"),
]
