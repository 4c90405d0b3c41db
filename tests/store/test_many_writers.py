"""Sixteen writers at once, a hundred publishes each, while others list and collect: all of them are there."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import writing_along
from operations import NOW, faults, leftovers, state
from store_counts import count

from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters.collecting import collect
from graftlm_registry.adapters.layout import Layout

WRITERS = count(short=6, whole=16)
PUBLISHES = count(short=12, whole=100)


@pytest.mark.parametrize("how", ["plain", "no-locks", "no-links"])
def test_many_writers_at_once(how: str, quick: Path, figures: Callable[[str], None]) -> None:
    """``no-locks``: a file system where every lock is refused. ``no-links``: one without hard links, where a number is
    claimed by a file of its own.
    """
    root = quick / "store"
    command = [sys.executable, str(Path(writing_along.__file__)), str(root)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen([*command, str(who), str(PUBLISHES), how], **pipes) for who in range(WRITERS)]
    assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * WRITERS
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    listings, collections = _beside(root, writers)
    lines = [line.split() for writer in writers for line in writer.communicate(timeout=300)[0].splitlines()]
    assert [writer.returncode for writer in writers] == [0] * WRITERS
    assert len(lines) == WRITERS * PUBLISHES
    assert len({reference for reference, _, _ in lines}) == len(lines), "two got the same version"
    store = AdapterStore(root)
    kept = {record.reference: [record.reference, record.run, record.digest] for record in store.records(_damaged)}
    assert sorted(kept.values()) == sorted(lines)
    assert not list(store.layout.staging.iterdir())
    assert not faults(root)
    seen = state(root)
    collect(store.layout, NOW)
    assert state(root) == seen
    assert not leftovers(root)
    figures(
        f"{len(lines)} of {WRITERS * PUBLISHES} publishes of {WRITERS} writers verify, all versions different; beside "
        f"them {listings} listings and {collections} collections"
    )


def _beside(root: Path, writers: list[subprocess.Popen[str]]) -> tuple[int, int]:
    """List and collect until the last writer is at its end; what was seen once stays."""
    layout, seen = Layout(root), set[str]()
    listings = collections = 0
    end = time.monotonic() + 280
    while any(writer.poll() is None for writer in writers) and time.monotonic() < end:
        now = {record.reference for record in AdapterStore(root).records(_damaged)}
        assert seen <= now, f"gone: {seen - now}"
        seen = now
        listings += 1
        collect(layout, NOW)
        collections += 1
    return listings, collections


def _damaged(error: Exception) -> None:
    raise error
