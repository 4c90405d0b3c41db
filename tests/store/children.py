"""Something done in a process of its own, forked off: it may be killed, stopped, traced, and says how it ended."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import shutil
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from graftlm.contracts.errors import GraftlmError

Action = Callable[[], object] | list[str]
"""A function to be called in the child, or a command."""
ANYBODY = -1
PR_SET_PTRACER = 0x59616D61


@dataclass(frozen=True)
class Ended:
    """``said`` is empty where all went well, a graftlm error's sentence behind ``refused: ``, or a traceback."""

    said: str
    signal: int

    @property
    def refused(self) -> bool:
        return self.said.startswith("refused: ")


class Child:
    """A process that waits until it is let go."""

    def __init__(self, action: Action) -> None:
        self._status: int | None = None
        self._gate, self._let_go = os.pipe()
        self._said, self._says = socket.socketpair()  # nothing that is made to fail is sent by it
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._run(action)
        os.close(self._gate)
        self._says.close()

    def _run(self, action: Action) -> None:
        said = "it never began"
        try:
            gc.disable()
            with suppress(OSError, AttributeError):
                ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(ANYBODY), 0, 0, 0)
            os.close(self._let_go)
            self._said.close()
            os.read(self._gate, 1)
            said = ""
            if isinstance(action, list):
                os.dup2(self._says.fileno(), 2)
                os.execvp(action[0], action)
            action()
        except GraftlmError as error:
            said = f"refused: {error}" if error.exit_code == 2 else f"exit code {error.exit_code}: {error}"
        except BaseException:  # noqa: BLE001 - told to the parent
            said = traceback.format_exc()
        finally:
            try:
                self._says.sendall(said.encode())
            finally:
                os._exit(1 if said else 0)

    def go(self) -> None:
        os.write(self._let_go, b"x")
        os.close(self._let_go)

    def stopped(self) -> bool:
        """Wait until it stops, or ends; whether it stopped."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            return True
        self._status = status
        return False

    def end(self) -> Ended:
        """Wait until it has ended."""
        said = b""
        while block := self._said.recv(1 << 16):
            said += block
        self._said.close()
        status = self._status if self._status is not None else os.waitpid(self.pid, 0)[1]
        return Ended(said.decode(errors="replace"), os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0)


def run(action: Action) -> Ended:
    child = Child(action)
    child.go()
    return child.end()


# strace

CALLS = (
    *("openat", "write", "pwrite64", "writev", "fsync", "fdatasync", "sync_file_range", "rename", "renameat"),
    *("renameat2", "link", "linkat", "symlink", "symlinkat", "mkdir", "mkdirat", "unlink", "unlinkat", "rmdir"),
    *("ftruncate", "truncate", "fallocate", "copy_file_range", "sendfile", "chmod", "fchmod", "fchmodat", "utimensat"),
)
"""The write-path calls, as Linux on x86-64 names them; a kernel that lacks one is not asked for it."""


def traced(action: Action, *options: str) -> Ended:
    """Done under ``strace``, which is there from the first call of the action on."""
    child = Child(action)
    tracer = subprocess.Popen(
        ["strace", "-f", "-p", str(child.pid), *options], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert tracer.stderr is not None
    first = tracer.stderr.readline()
    child.go()
    ended = child.end()
    rest = tracer.communicate(timeout=60)[1]
    if "attached" not in first:
        raise CannotTrace(f"{first}{rest}".strip())
    return ended


class CannotTrace(Exception):
    """Its text says why."""


def calls_of(action: Action, log: Path) -> dict[str, int]:
    """How often each write-path call is made."""
    return {name: len(calls) for name, calls in _made(action, log).items()}


def _made(action: Action, log: Path) -> dict[str, list[str]]:
    """Every write-path call in order, by its name: what it was given, as strace writes it."""
    ended = traced(action, "-e", f"trace={','.join(known_calls())}", "-o", str(log))
    assert not ended.said, ended.said
    found: dict[str, list[str]] = {}
    for name, given in re.findall(r"^(?:\d+ +)?(\w+)\((.*)", log.read_text(errors="replace"), re.MULTILINE):
        found.setdefault(name, []).append(given)
    return found


WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT")


def writing_calls_of(action: Action, log: Path, *, reads: int) -> dict[str, list[int]]:
    """The write-path calls by their numbers, from 1. Of the calls of ``openat`` that only read, which may be thousands,
    ``reads`` are among them, spread over all.
    """
    made = _made(action, log)
    found = {name: list(range(1, len(calls) + 1)) for name, calls in made.items()}
    opened = made.get("openat", [])
    wanted = {number for number, given in enumerate(opened, 1) if WRITES.search(given)}
    wanted |= set(range(1, len(opened) + 1, max(1, len(opened) // reads)))
    return {**found, "openat": sorted(wanted)}


@cache
def known_calls() -> tuple[str, ...]:
    """Those that this machine's strace knows."""
    return tuple(
        name for name in CALLS
        if subprocess.run(["strace", "-e", f"trace={name}", "true"], capture_output=True, check=False).returncode == 0
    )  # fmt: skip


@cache
def why_not() -> str:
    """Why nothing can be traced here; empty where it can."""
    if not shutil.which("strace"):
        return "there is no strace here"
    try:
        traced(lambda: None, "-e", "trace=openat", "-o", "/dev/null")
    except CannotTrace as error:
        return f"strace may not trace here: {error}"
    return ""
