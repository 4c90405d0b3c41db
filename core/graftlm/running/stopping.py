"""Being stopped: the command line makes SIGTERM and SIGHUP arrive like Ctrl-C; here they are told apart again."""

from __future__ import annotations

import signal
from types import FrameType

from graftlm.contracts.errors import Interrupted


class Stopped(KeyboardInterrupt):
    """A signal other than Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def raise_stopped(number: int, frame: FrameType | None) -> None:
    """A handler of signals."""
    raise Stopped(number)


def catch_stops() -> None:
    """Make SIGTERM and SIGHUP arrive as ``Stopped``. What is ignored stays so: ``nohup`` means it."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, raise_stopped)


def number_of(stop: KeyboardInterrupt) -> int:
    return stop.number if isinstance(stop, Stopped) else signal.SIGINT


def interrupted(stop: KeyboardInterrupt) -> Interrupted:
    """As an error; its exit code is 128 plus the signal's number, as a shell has it."""
    number = number_of(stop)
    error = Interrupted(f"stopped by {signal.Signals(number).name}")
    error.exit_code = 128 + number
    return error
