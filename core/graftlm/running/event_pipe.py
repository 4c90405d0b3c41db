"""The pipe that a worker's events come from: each is kept in a file, and handed on."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any


class EventPipe:
    """Hands the events on and keeps them; ``last`` is the last one. A line that a dying worker left unfinished is none.
    A disk that takes no more of them stops nothing.
    """

    def __init__(self, read_end: int, kept: Path, on_event: Callable[[Mapping[str, Any]], None]) -> None:
        self.last: Mapping[str, Any] = {}
        self._read_end, self._kept, self._on_event = read_end, kept, on_event
        self._poll = select.poll()
        self._poll.register(read_end, select.POLLIN | select.POLLHUP)
        self._rest = b""
        self._full = False

    def __enter__(self) -> EventPipe:
        try:
            _whole_lines(self._kept)
            self._file = self._kept.open("ab", buffering=0)
        except BaseException:
            os.close(self._read_end)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        os.close(self._read_end)

    def listen(self, seconds: float | None = None) -> bool:
        """Until the worker closes its end, which gives True; or until it says nothing for so many ``seconds``."""
        while self._poll.poll(None if seconds is None else 1000 * seconds):
            new = os.read(self._read_end, 1 << 16)
            if not new:
                return True
            self._rest += new
            while b"\n" in self._rest:  # an interrupt may come anywhere: a line is left out of the rest at the end
                line, _, rest = self._rest.partition(b"\n")
                self.last = json.loads(line)
                self._keep(line + b"\n")
                self._rest = rest
                self._on_event(self.last)
        return False

    def _keep(self, line: bytes) -> None:
        try:
            self._file.write(line)
        except OSError as error:
            if not self._full:
                self._full = True
                self._on_event({"event": "warning", "message": f"{self._kept} cannot be written: {error.strerror}"})


def _whole_lines(path: Path) -> None:
    """A line that a killed supervisor left unfinished must not run into the next one."""
    if path.is_file() and path.stat().st_size:
        with path.open("rb+") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
