"""The os functions by which Python touches a disk, watched: something happens before and after each call."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

WRITING = ("open", "fsync", "rename", "replace", "link", "mkdir", "unlink", "rmdir", "write", "symlink", "truncate")
READING = ("stat", "lstat", "listdir", "scandir", "readlink")
"""Between any two of either, other processes may do something."""


@dataclass(frozen=True)
class Call:
    """The ``number``-th call, from 1."""

    number: int
    name: str
    arguments: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.number}: {self.name}{self.arguments}"


class Left(Exception):
    """Raised by a watcher: this call is left out."""


Watcher = Callable[[Call], None]


def nothing(call: Call) -> None:
    """Watches, and does nothing."""


@contextmanager
def watched(
    before: Watcher = nothing, after: Watcher = nothing, *, names: tuple[str, ...] = WRITING
) -> Iterator[list[Call]]:
    """The calls, as they come; what a watcher raises comes out of the call."""
    calls: list[Call] = []

    def wrapped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            this = Call(len(calls) + 1, name, arguments)
            calls.append(this)
            try:
                before(this)
            except Left:
                return None
            try:
                return real(*arguments, **more)
            finally:
                after(this)

        return call

    places = [(os, name, name) for name in names] + ([(io, "open", "file")] if "open" in names else [])
    real = [(module, name, getattr(module, name)) for module, name, _ in places]
    # shutil asks whether the functions that it would use are these very ones
    sets = (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks)
    try:
        for (module, name, said), (_, _, function) in zip(places, real, strict=True):
            double = wrapped(said, function)
            for known in sets:
                if function in known:
                    known.add(double)
            setattr(module, name, double)
        yield calls
    finally:
        for module, name, function in real:
            for known in sets:
                known.discard(getattr(module, name))
            setattr(module, name, function)


def at(number: int, do: Callable[[], None]) -> Watcher:
    """Something to be done at the ``number``-th call."""

    def watcher(call: Call) -> None:
        if call.number == number:
            do()

    return watcher


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)
