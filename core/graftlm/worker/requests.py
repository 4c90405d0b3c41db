"""What the front asks of a worker that stays: one JSON object a line, on a pipe of its own."""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Iterator

from graftlm.contracts.errors import Interrupted
from graftlm.contracts.serial import from_json
from graftlm.contracts.serving import Request

from .events import Events

TICK = 500
"""Milliseconds between two looks whether the front is still there."""


class Requests:
    """The requests in order, until the front closes the pipe."""

    def __init__(self, descriptor: int, events: Events) -> None:
        os.set_inheritable(descriptor, False)
        self._descriptor, self._events = descriptor, events
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN | select.POLLHUP)
        self._rest = b""
        self._closed = False
        self._waiting: deque[Request] = deque()
        self._stopped = 0

    def __iter__(self) -> Iterator[Request]:
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._closed:
                return
            self._events.checkpoint()
            self._take(TICK)

    def stopped(self, number: int) -> bool:
        """Whether the front wants no more of a request that is being answered. Raises where the front has gone."""
        self._events.checkpoint()
        self._take(0)
        if self._closed:
            raise Interrupted("nobody listens any more")
        return self._stopped >= number

    def _take(self, patience: int) -> None:
        """What has come. A stop is heeded at once, the rest in its turn."""
        while not self._closed and self._poll.poll(patience):
            patience = 0
            new = os.read(self._descriptor, 1 << 16)
            self._closed = not new
            *lines, self._rest = (self._rest + new).split(b"\n")
            for line in lines:
                request = from_json(line, Request, "a request")
                self._stopped = max(self._stopped, request.stop)
                if not request.stop:
                    self._waiting.append(request)
