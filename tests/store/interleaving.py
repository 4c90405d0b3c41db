"""Processes that take turns: each waits at every call of the os until it is its turn, in an order drawn by lot."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable

from children import Child, Ended
from os_calls import READING, WRITING, Call, watched

TOKEN = b"x"


class Interleaved:
    """``kills`` of them are killed at a call drawn by lot."""

    def __init__(self, actions: list[Callable[[], object]], draw: random.Random, *, kills: int = 0) -> None:
        self._draw, self._kills = draw, kills
        self.steps = self.killed = 0
        self._turns = [_Turn(action) for action in actions]

    def run(self) -> list[Ended]:
        waiting = [turn for turn in self._turns if turn.waits()]
        deadly = sorted(self._draw.sample(range(5, 200), self._kills))
        while waiting:
            turn = self._draw.choice(waiting)
            for _ in range(self._draw.choice((1, 1, 2, 5, 20))):  # sometimes one gets far while the others wait
                self.steps += 1
                if deadly and self.steps >= deadly[0]:
                    deadly.pop(0)
                    turn.kill()
                    self.killed += 1
                else:
                    turn.go_on()
                if not turn.waits():
                    waiting.remove(turn)
                    break
        return [turn.ended for turn in self._turns]


class _Turn:
    def __init__(self, action: Callable[[], object]) -> None:
        self._asks, self._asked = os.pipe()
        self._granted, self._grants = os.pipe()
        read, write, close = os.read, os.write, os.close

        def wait(call: Call) -> None:
            write(self._asked, TOKEN)
            read(self._granted, 1)

        def slowly() -> None:
            close(self._asks)
            close(self._grants)
            # 'write' is how it asks
            with watched(wait, names=tuple(name for name in (*WRITING, *READING) if name != "write")):
                action()

        self._child = Child(slowly)
        os.close(self._asked)
        os.close(self._granted)
        self._child.go()

    def waits(self) -> bool:
        """Whether it waits for its turn; else it has ended."""
        if os.read(self._asks, 1):
            return True
        os.close(self._asks)
        os.close(self._grants)
        self.ended = self._child.end()
        return False

    def go_on(self) -> None:
        os.write(self._grants, TOKEN)

    def kill(self) -> None:
        os.kill(self._child.pid, signal.SIGKILL)
