"""The worker's events: one JSON object a line, on a pipe of its own, never mixed with what libraries print."""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from graftlm.contracts.errors import Interrupted

PROTOCOL = 1


class Events:
    """Writes events, and knows whether anybody still wants the run to go on."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)  # a library's child process must not keep the pipe open
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLERR | select.POLLHUP)
        self._signal = 0
        self._at_once = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._signal:
            os._exit(128 + number)
        self._signal = number
        if self._at_once:
            self.checkpoint()

    def send(self, event: str, **fields: Any) -> None:
        line = json.dumps({"event": event, "time": round(time.time(), 3), **fields}).encode() + b"\n"
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
        except BrokenPipeError:
            raise Interrupted("nobody supervises this run any more") from None

    def progress(self, stage: str, done: int, total: int) -> None:
        self.send("progress", stage=stage, done=done, total=total)

    def warning(self, message: str) -> None:
        self.send("warning", message=message)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Where nothing can be lost, as while a base is loaded: a signal raises ``Interrupted`` wherever it comes."""
        self.checkpoint()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def checkpoint(self) -> None:
        """Raise ``Interrupted`` where a signal came, or the supervisor has gone."""
        if self._signal:
            error = Interrupted(f"stopped by {signal.Signals(self._signal).name}")
            error.exit_code = 128 + self._signal
            raise error
        if self._poll.poll(0):
            raise Interrupted("nobody supervises this run any more")
