"""A run in this process that is stopped after a step, as Ctrl-C stops it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from graftlm.contracts.errors import Interrupted


@dataclass
class Stopping:
    """``told`` are the steps that were told of; ``asked`` says whether the stop has come."""

    after: int
    told: list[int] = field(default_factory=list)
    asked: bool = False


@contextmanager
def stopping_after(step: int) -> Iterator[Stopping]:
    """The worker finds, from the moment that this step (from 1) is told of, that it has been told to stop."""
    from graftlm.worker import events as worker_events

    seen, plain = Stopping(step), worker_events.Events

    class Stopped(worker_events.Events):
        def send(self, event: str, **fields: Any) -> None:
            super().send(event, **fields)
            if event == "metric":
                seen.told.append(int(fields["step"]))

        def checkpoint(self) -> None:
            super().checkpoint()
            if seen.told and seen.told[-1] >= seen.after:
                seen.asked = True
                raise Interrupted("stopped by the suite")

    worker_events.Events = Stopped  # type: ignore[misc]
    try:
        yield seen
    finally:
        worker_events.Events = plain  # type: ignore[misc]
