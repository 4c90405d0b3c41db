"""The parent's side of the child that renders: started when it is first needed, ended when it misbehaves."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import ModelError

from .limits import PATIENCE

START = 30.0
"""Seconds that the child may take to start."""
KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
"""What the child sees of the environment: what Python itself may need."""


class Stopped(Exception):
    """The child ended before it had answered all. ``kind``: "slow" (it computed too long), "late" (by the clock),
    "died". ``answers`` are those that it gave before.
    """

    def __init__(self, kind: str, words: str = "") -> None:
        super().__init__(kind, words)
        self.kind, self.words = kind, words
        self.answers: list[dict[str, Any]] = []


class Renderer:
    """One child at a time. It is safe with threads; a forked process starts a child of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._end: weakref.finalize[..., Renderer] | None = None

    def ask(self, sources: Sequence[str], renderings: Sequence[Mapping[str, Any]], today: str) -> list[dict[str, Any]]:
        """The child's answers, one a rendering. ``today`` is the day that a template is told, in ISO 8601.

        ``Stopped`` where one of them ended the child, ``ModelError`` where no child can be started.
        """
        request = {"sources": sources, "today": today, "renderings": renderings}
        with self._lock:
            child = self._started()
            try:
                answers = _exchange(child, json.dumps(request).encode() + b"\n", len(renderings), PATIENCE)
            except BaseException:
                self._close()
                raise
            if any(answer.get("error") == "memory" for answer in answers):
                self._close()
            return answers

    def close(self) -> None:
        """End the child; the next request starts another."""
        with self._lock:
            self._close()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._owner == os.getpid():
            return self._child
        child = subprocess.Popen(
            command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={name: os.environ[name] for name in KEPT if name in os.environ},
            start_new_session=True,  # a terminal's Ctrl-C must not reach it
        )
        assert child.stdin is not None
        os.set_blocking(child.stdin.fileno(), False)
        self._child, self._owner = child, os.getpid()
        self._end = weakref.finalize(self, _ended, child, self._owner)
        try:
            _exchange(child, b"", 1, START)
        except Stopped as stopped:
            self._close()
            raise ModelError(f"the process that renders chat templates did not start: {stopped.words}") from None
        except BaseException:
            self._close()
            raise
        return child

    def _close(self) -> None:
        if self._end is not None:
            self._end()
        self._child = self._end = None


def command() -> list[str]:
    """How the child is started: isolated, without site-packages, with three packages that it can import."""
    folders = {"graftlm": str(Path(__file__).parents[2])}
    for name in ("jinja2", "markupsafe"):
        found = find_spec(name)
        if found is None or not found.origin:
            raise ModelError(f"rendering a model's own chat template needs {name}: pip install 'jinja2>=3.1.6'")
        folders[name] = str(Path(found.origin).parents[1])
    program = Path(__file__).with_name("process.py")
    return [sys.executable, "-I", "-S", "-B", "-X", "utf8", str(program), json.dumps(folders)]


def _exchange(child: subprocess.Popen[bytes], request: bytes, count: int, patience: float) -> list[Any]:
    """Write a line, read ``count`` lines of JSON; ``Stopped`` where one of them takes more than ``patience`` seconds,
    or the child ends.
    """
    lines: list[Any] = []
    try:
        for line in islice(_lines(child, request, patience), count):
            lines.append(json.loads(line))
    except Stopped as stopped:
        stopped.answers = lines
        raise
    return lines


def _lines(child: subprocess.Popen[bytes], request: bytes, patience: float) -> Iterator[bytes]:
    assert child.stdin is not None
    assert child.stdout is not None
    write_end, read_end = child.stdin.fileno(), child.stdout.fileno()
    poll = select.poll()
    poll.register(read_end, select.POLLIN)
    unwritten = memoryview(request)
    parts: list[bytes] = []
    if unwritten:
        poll.register(write_end, select.POLLOUT)
    deadline = time.monotonic() + patience
    while True:
        left = deadline - time.monotonic()
        ready = [end for end, _ in poll.poll(left * 1000)] if left > 0 else []
        if not ready:
            raise Stopped("late")
        try:
            if read_end in ready:
                *whole, rest = os.read(read_end, 1 << 20).split(b"\n")
                if not whole and not rest:
                    raise _gone(child)
                for end in whole:
                    yield b"".join([*parts, end])
                    parts = []
                    deadline = time.monotonic() + patience
                parts.append(rest)
            elif write_end in ready:
                unwritten = unwritten[os.write(write_end, unwritten[: 1 << 16]) :]
                if not unwritten:
                    poll.unregister(write_end)
        except BrokenPipeError:
            raise _gone(child) from None


def _gone(child: subprocess.Popen[bytes]) -> Stopped:
    """Why a child left."""
    try:
        code = child.wait(1.0)
    except subprocess.TimeoutExpired:
        child.kill()
        code = child.wait()
    if code == -signal.SIGXCPU:
        return Stopped("slow")
    return Stopped("died", f"exit code {code}" if code >= 0 else signal.Signals(-code).name)


def _ended(child: subprocess.Popen[bytes], owner: int) -> None:
    """Leave no process and no open pipe behind; one that another process started is that one's."""
    if os.getpid() != owner:
        return
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        try:
            if pipe is not None:
                pipe.close()
        except OSError:
            pass  # what was not written yet has nowhere to go
