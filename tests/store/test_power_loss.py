"""Every fsync is needed: without any one of them, a power loss at the wrong moment could lose or damage something."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from operations import OPERATIONS, Operation, state
from os_calls import Call, watched
from power_loss import Disk, NotSure, watching
from store_counts import WHOLE

from graftlm_registry.adapters import collecting, durable, migrating, objects, publishing
from graftlm_registry.adapters.layout import Layout

each = pytest.mark.parametrize("operation", OPERATIONS, ids=str)


class Killed(BaseException):
    """The process does nothing any more."""


def made(operation: Operation, folder: Path) -> Path:
    root = folder / "store"
    if root.exists():
        shutil.rmtree(root)
    operation.set_up(root)
    return root


def sure(root: Path) -> Disk:
    disk = Disk(root)
    disk.all_is_sure()
    return disk


@each
def test_a_power_loss_at_any_moment(operation: Operation, quick: Path) -> None:
    """All fsyncs in their places: nothing is seen before it is sure, and what was done stays done."""
    root = made(operation, quick)
    disk = sure(root)
    with watching(disk):
        operation.act(root)
    disk.look_at_the_end()


@each
def test_no_fsync_can_be_left_out(operation: Operation, quick: Path, figures: Callable[[str], None]) -> None:
    """Each fsync of each operation is left out once: a power loss could then do harm. Not those that find everything
    synced already (they are for what another process may have made and not synced: the next test), nor those of a
    folder that is synced again before anything depends on it.
    """
    root = made(operation, quick)
    disk = sure(root)
    with watching(disk):
        operation.act(root)
    needed = idle = again = thrown = 0
    for number, (synced, useful) in enumerate(disk.syncs, 1):
        if not useful:
            idle += 1
            continue
        root = made(operation, quick)
        without = sure(root)
        try:
            with watching(without, leave_out=lambda at, number=number: at == number):
                operation.act(root)
            without.look_at_the_end()
        except NotSure:
            needed += 1
            continue
        if "staging/adapter." in synced and operation.name in ("publish files that are there", "publish a run again"):
            thrown += 1  # it could not know that its copy would not be needed
            continue
        if operation.name == "gc with a grace period" and synced.endswith("/objects"):
            again += 1  # needed where something is deleted at once: 'gc' misses it
            continue
        later = [folder for folder, _ in disk.syncs[number:]]
        assert synced in later, f"fsync {number}, of {synced}, is not needed, or not missed"
        again += 1
    assert needed or thrown
    more = f", {thrown} were of a copy that was not needed" if thrown else ""
    figures(
        f"{len(disk.syncs)} fsyncs: {needed} whose lack was found, {again} are done again, {idle} found no change{more}"
    )


@each
def test_after_a_kill_the_next_one_is_sure(operation: Operation, quick: Path, figures: Callable[[str], None]) -> None:
    """Killed at any call, then done again by another process: what the first one made and did not sync is synced."""
    root = made(operation, quick)
    with watched() as calls:
        operation.act(root)
    tried = 0
    for number in range(1, len(calls) + 1, 1 if WHOLE else 3):
        root = made(operation, quick)
        disk = sure(root)
        _killed_at(operation, root, disk, number)
        seen = state(root)
        with watching(disk):
            try:
                operation.act(root)
            except objects.GraftlmError:
                assert state(root) == seen  # it was done
                continue
        if operation.name != "publish a run again":
            disk.look_at_the_end()
        tried += 1
    assert tried
    figures(f"{tried} kills, all sure after the next try")


def _killed_at(operation: Operation, root: Path, disk: Disk, number: int) -> None:
    """From its ``number``-th call on, nothing that it does happens."""

    count = 0

    def dead(call: Call) -> None:
        nonlocal count
        if disk.looking:
            return
        count += 1
        if count >= number:
            raise Killed

    try:
        with watching(disk), watched(dead):
            operation.act(root)
    except Killed:
        pass


SITES = {
    "sync_tree": "a file of what is published, attached",
    "make_folder": "the name of a folder",
    "create_exclusively": "the name of a record, a note",
    "replace_file": "the name of a tag, a migrated record",
    "move": "the name of an object; a removal",
    "remove_file": "a tag's end",
    "_written": "the bytes of a small file",
    "place": "an object that another has put there",
    "delete": "the end of what is deleted",
    "bring_back": "an object that a restore which was cut short has brought back",
    "_claim": "the name of a record, where the one who published it was killed",
    "collect": "what was moved, before anything is deleted",
    "migrate": "what a migration that was cut short had not synced",
}
SHOWN_BY_A_KILL = {
    "place": "publish again",
    "_claim": "publish again",
    "bring_back": "restore out of the trash",
    "migrate": "migrate",
}
"""Needed only where an earlier process was killed: in which operation that is tried."""
MODULES = (collecting, durable, migrating, objects, publishing)
"""The functions that sync, and what for."""


def test_no_fsync_can_be_removed_from_the_code(quick: Path, figures: Callable[[str], None]) -> None:
    """The same by place in the code: without the fsyncs of any one function, some operation is found wanting."""
    found: dict[str, list[str]] = {site: [] for site in SITES}
    seen: set[str] = set()
    for operation in OPERATIONS:
        for site in SITES:
            if (WHOLE or not found[site]) and _harm(operation, quick, site, seen):
                found[site].append(operation.name)
    assert seen <= set(SITES), "a function that syncs is not in the table"
    missed = [site for site, by in found.items() if site in seen and not by]
    assert not missed, f"nobody misses the fsyncs of {missed}"
    figures("; ".join(f"{site}: {len(by)} operations" for site, by in found.items()))


def _harm(operation: Operation, folder: Path, site: str, seen: set[str]) -> bool:
    """Whether harm is found where the fsyncs of one function are left out: at once, or when it is killed and begun
    anew.
    """

    def left_out(_: int) -> bool:
        here = _site()
        seen.add(here)
        return here == site

    root = made(operation, folder)
    disk = sure(root)
    try:
        with watching(disk, leave_out=left_out):
            operation.act(root)
        disk.look_at_the_end()
    except NotSure:
        return True
    if SHOWN_BY_A_KILL.get(site) != operation.name:
        return False
    root = made(operation, folder)
    with watched() as calls:
        operation.act(root)
    for number in range(1, len(calls) + 1):
        root = made(operation, folder)
        disk = sure(root)
        _killed_at(operation, root, disk, number)
        try:
            with watching(disk, leave_out=left_out):
                operation.act(root)
            disk.look_at_the_end()
        except NotSure:
            return True
        except objects.GraftlmError:
            continue
    return False


def _site() -> str:
    """The function of the store that asks for the fsync, whichever way it goes."""
    for frame in reversed(traceback.extract_stack()):
        if frame.name in SITES and frame.filename in [module.__file__ for module in MODULES]:
            return frame.name
    return "elsewhere"


def test_the_checker_sees_a_file_that_was_not_synced(quick: Path) -> None:
    """The checker checked."""
    root = made(OPERATIONS[1], quick)
    disk = sure(root)
    (Layout(root).adapters / "skill" / "2.json").write_text("{}")
    with pytest.raises(NotSure, match="its bytes are not sure"):
        disk.look("now")
