"""Any error of the disk at any call that writes: one sentence, nothing that was not there, nothing left over."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from after_a_cut import Cut
from children import Ended, calls_of, run, traced, why_not
from operations import OPERATIONS, Operation, faults, state
from os_calls import at, watched
from store_counts import count

ERRORS = ("ENOSPC", "EIO", "EDQUOT", "EROFS", "EACCES")
CLEANING = ("unlink", "unlinkat", "rmdir")
"""Where one of these fails, one thing may be left over in staging."""
IN_STEPS = ("gc", "gc with a grace period", "migrate")
"""Every step of these is for good, and nobody sees a difference."""
MADE = {"", "staging", "objects", "adapters", "trash", "tags", "notes", "evaluations", "layout.json"}
"""What makes an empty store."""
each = pytest.mark.parametrize("operation", OPERATIONS, ids=str)


class Failing(Cut):
    """Checks what a failed call left."""

    def __init__(self, operation: Operation, folder: Path) -> None:
        super().__init__(operation, folder)
        self.tree = listing(self.copy())
        self.clean = self.unseen = 0

    def judge(self, root: Path, ended: Ended, call: str) -> None:
        assert not ended.signal
        found = state(root)
        if not ended.said:
            assert found == self.after or self._twice(found), "it said that all went well"
            self.unseen += 1
            return
        assert ended.refused, ended.said
        assert len(ended.said.splitlines()) == 1, ended.said
        assert found == self.before, f"something is there that was not there ({ended.said})"
        if root.exists() and self.operation.name != "migrate":
            assert not [fault for fault in faults(root) if "puts them back" not in fault.what]
        if self.operation.name not in IN_STEPS:
            left = sorted(set(listing(root)) - set(self.tree) - MADE)
            staged = [path for path in left if path.startswith("staging/") and path.count("/") == 1]
            assert len(staged) <= (call in CLEANING), f"left over: {left} ({ended.said})"
            moved = self.operation.name == "restore out of the trash"  # the files may be out of it already
            left = [path for path in left if not path.startswith(("staging/", "objects/") if moved else "staging/")]
            assert not left, f"left over: {left} ({ended.said})"
        self.clean += 1
        self.check(root)

    def _twice(self, found: dict[str, Any]) -> bool:
        """A run whose record cannot be read just then is kept once more: nothing is lost by that."""
        same = all(found.get(key) == value for key, value in self.after.items() if "@" in key)
        return same and self.operation.name == "publish a run again"


def listing(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in root.rglob("*")]


@each
def test_an_error_at_every_system_call(operation: Operation, quick: Path, figures: Callable[[str], None]) -> None:
    """strace lets the K-th openat, write, fsync, … fail, each K, with each error."""
    if why := why_not():
        pytest.skip(why)
    failing = Failing(operation, quick)
    made = calls_of(partial(operation.act, failing.copy()), quick / "log")
    stride = count(short=9, whole=2)  # so that each call fails with two or three of the five
    turn = 0
    for name, times in made.items():
        for number in range(1, times + 1):
            for error in ERRORS:
                turn += 1
                if turn % stride:
                    continue
                root = failing.copy()
                inject = f"inject={name}:error={error}:when={number}"
                ended = traced(partial(operation.act, root), "-e", f"trace={name}", "-e", inject, "-o", "/dev/null")
                try:
                    failing.judge(root, ended, name)
                except Exception as wrong:
                    raise AssertionError(f"{inject}: {wrong}") from wrong
    assert failing.clean
    figures(
        f"{failing.clean} errors told in one sentence, {failing.unseen} that did not matter, 0 visible, 0 left over"
    )


@each
def test_an_error_at_every_call_of_the_os(operation: Operation, quick: Path, figures: Callable[[str], None]) -> None:
    """The same without strace."""
    failing = Failing(operation, quick)
    root = failing.copy()
    with watched() as calls:
        operation.act(root)
    for call in calls:
        error = ERRORS[call.number % len(ERRORS)]
        root = failing.copy()
        ended = run(partial(_failed, operation, root, call.number, error))
        try:
            failing.judge(root, ended, call.name)
        except Exception as wrong:
            raise AssertionError(f"{error} at {call}: {wrong}") from wrong
    assert failing.clean
    figures(
        f"{failing.clean} errors told in one sentence, {failing.unseen} that did not matter, 0 visible, 0 left over"
    )


def _failed(operation: Operation, root: Path, number: int, error: str) -> None:
    def fail() -> None:
        raise OSError(getattr(errno, error), os.strerror(getattr(errno, error)))

    with watched(at(number, fail)):
        operation.act(root)


FULL = """
import sys
sys.path[:0] = [{tests!r}, {here!r}]
import os
from pathlib import Path
from operations import faults, leftovers, publish_seed, state, collecting, NOW
from graftlm.contracts.errors import StoreError
root = Path(sys.argv[1]) / "store"
publish_seed(1, "run-1")(root)
before, said, filled = state(root), set(), 0
while True:
    filled += 1
    space = os.statvfs(root)
    free = space.f_bavail * space.f_frsize
    with open(root.parent / f"filler-{{filled}}", "wb") as filler:
        try:
            filler.write(b"x" * max(free - filled % 24 * 4096, 0))
            filler.flush()
        except OSError:
            pass
    for seed in range(2, 99):
        try:
            publish_seed(seed, f"run-{{seed}}-{{filled}}")(root)
        except StoreError as error:
            said.add(str(error))
            break
    (root.parent / f"filler-{{filled}}").unlink()
    state(root)
    assert not faults(root), faults(root)
    staged = list((root / "staging").iterdir())
    assert not staged, staged
    if filled == 48:
        break
kept = state(root)
assert all(kept[key] == value for key, value in before.items() if "@" in key)
assert not leftovers(root), leftovers(root)
print(len([key for key in kept if "@" in key]), "kept;", filled, "times full;", *said)
"""


def test_a_full_disk(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """A real one of 256 kB, filled up again and again: publishing succeeds, or says that it is full."""
    if not shutil.which("unshare"):
        pytest.skip("there is no unshare here")
    here = Path(__file__).resolve().parent
    code = FULL.format(tests=str(here.parent), here=str(here))
    mounted = 'mount -t tmpfs -o size=256k none "$1" || exit 99; exec "$2" -c "$3" "$1"'
    command = ["unshare", "-rm", "sh", "-c", mounted, "sh", str(tmp_path), sys.executable, code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode in (1, 99) and "Traceback" not in done.stderr:
        pytest.skip(f"mounts cannot be made here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert "the disk is full: free some space" in done.stdout
    figures(done.stdout.strip())
