"""kill -9 at every call that writes: the old state or the new one, nothing damaged, and it can be repeated."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from after_a_cut import Cut
from children import calls_of, run, traced, why_not
from operations import OPERATIONS, Operation
from os_calls import at, die, nothing, watched
from store_counts import count

each = pytest.mark.parametrize("operation", OPERATIONS, ids=str)


@each
def test_killed_at_every_system_call(operation: Operation, quick: Path, figures: Callable[[str], None]) -> None:
    """strace kills it as it enters its K-th openat, write, fsync, …: K from 1 until it ends by itself."""
    if why := why_not():
        pytest.skip(why)
    cut = Cut(operation, quick)
    made = calls_of(partial(operation.act, cut.copy()), quick / "log")
    stride = count(short=5, whole=1)
    old = new = 0
    for offset, (name, times) in enumerate(made.items()):
        for number in range(1 + offset % min(stride, times), times + 1, stride):
            root = cut.copy()
            inject = f"inject={name}:signal=KILL:when={number}"
            ended = traced(partial(operation.act, root), "-e", f"trace={name}", "-e", inject, "-o", "/dev/null")
            assert ended.signal == signal.SIGKILL, f"{inject}: {ended}"
            try:
                found = cut.check(root)
            except Exception as error:
                raise AssertionError(f"killed by {inject}: {error}") from error
            old, new = old + (found == cut.before), new + (found != cut.before)
        inject = f"inject={name}:signal=KILL:when={times + 1}"
        ended = traced(partial(operation.act, cut.copy()), "-e", f"trace={name}", "-e", inject, "-o", "/dev/null")
        assert (ended.said, ended.signal) == ("", 0), "it made more calls than were counted"
    calls = ", ".join(f"{times} {name}" for name, times in made.items())
    figures(f"{old + new} kills, {old} left the old state, {new} the new one, 0 corrupt (calls: {calls})")


@each
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_every_call_of_the_os(
    operation: Operation, moment: str, quick: Path, figures: Callable[[str], None]
) -> None:
    """The same without strace: the process kills itself before, or right after, its K-th call of the os module."""
    cut = Cut(operation, quick)
    kills = number = 0
    stride = count(short=3, whole=1)
    while True:
        number += stride
        root = cut.copy()
        ended = run(partial(_killed, operation, root, number, moment))
        if not ended.signal:
            assert not ended.said, ended.said
            break
        kills += 1
        try:
            cut.check(root)
        except Exception as error:
            raise AssertionError(f"killed {moment} call {number}: {error}") from error
    assert kills
    figures(f"{kills} kills, 0 corrupt")


def _killed(operation: Operation, root: Path, number: int, moment: str) -> None:
    killer = at(number, die)
    with watched(*((killer, nothing) if moment == "before" else (nothing, killer))):
        operation.act(root)
