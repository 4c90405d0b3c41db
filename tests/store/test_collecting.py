"""Garbage collection takes what nobody needs and nothing else, whoever is stopped or killed in the middle of what."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from after_a_cut import Cut
from children import Child
from interleaving import Interleaved
from kept_adapters import publish
from operations import NOW, Operation, collecting, doing, evaluate, faults, leftovers, nothing, publish_seed, state
from os_calls import READING, WRITING, at, stop, watched
from store_counts import count

from graftlm.contracts.errors import StoreError
from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters.collecting import collect
from graftlm_registry.adapters.layout import Layout

LATER = timedelta(days=15)


def unreferenced(root: Path) -> None:
    """The files of seed 1 are there, and no record names them; those of seed 2 are named."""
    store = AdapterStore(root)
    publish(store, name="gone", run="run-1", seed=1)
    publish(store, run="run-2", seed=2)
    store.remove("gone@1")


WRITERS = (
    Operation("publish", unreferenced, publish_seed(3, "run-3")),
    Operation("publish files that nobody names", unreferenced, publish_seed(1, "run-3")),
    Operation("publish into nothing", nothing, publish_seed(1, "run-3")),
    Operation("restore", unreferenced, doing("restore", "gone@1")),
)


@pytest.mark.parametrize("killed", [False, True], ids=["continued", "killed"])
@pytest.mark.parametrize("operation", WRITERS, ids=str)
def test_collecting_beside_a_stopped_writer(
    operation: Operation, killed: bool, quick: Path, figures: Callable[[str], None]
) -> None:
    """SIGSTOP at a call drawn by lot, a collection that keeps nothing, SIGCONT or SIGKILL: nothing is lost."""
    cut = Cut(operation, quick)
    root = cut.copy()
    with watched(names=(*WRITING, *READING)) as calls:
        operation.act(root)
    draw = random.Random(8)
    rounds, refused = count(short=20, whole=200), 0
    for number in (draw.randint(1, len(calls)) for _ in range(rounds)):
        root = cut.copy()
        child = Child(partial(_stopped, operation, root, number))
        child.go()
        assert child.stopped()
        collect(Layout(root), NOW)
        os.kill(child.pid, signal.SIGKILL if killed else signal.SIGCONT)
        ended = child.end()
        assert ended.signal == (signal.SIGKILL if killed else 0)
        collect(Layout(root), NOW)
        found = state(root)
        if killed:
            assert found in (cut.before, cut.after), f"stopped at {calls[number - 1]}"
        elif ended.refused and operation.name == "restore":
            refused += 1  # its files were deleted before it said that it wants them
            assert "were deleted" in ended.said
            assert found == cut.before
        else:
            assert not ended.said, ended.said
            assert found == cut.after, f"stopped at {calls[number - 1]}"
        assert not faults(root)
        assert not leftovers(root)
    deleted = f", {refused} times after its files were deleted" if refused else ""
    figures(f"{rounds} rounds, 0 lost{deleted}")


def _stopped(operation: Operation, root: Path, number: int) -> None:
    with watched(at(number, stop), names=(*WRITING, *READING)):
        operation.act(root)


ACTORS: tuple[tuple[str, Callable[[Path], object]], ...] = (
    ("gc", collecting(NOW)),
    ("gc", collecting(NOW)),
    ("publish what is gone", publish_seed(1, "run-3")),
    ("publish it too", publish_seed(1, "run-4", "other")),
    ("restore", doing("restore", "gone@1")),
    ("rm", doing("remove", "skill@1")),
    ("publish another", publish_seed(3, "run-5")),
)


def test_any_order_of_steps(quick: Path, figures: Callable[[str], None]) -> None:
    """Two collections and some writers, each call of each in an order drawn by lot; some are killed on the way."""
    rounds = count(short=40, whole=1000)
    steps = kills = 0
    before = quick / "before"
    unreferenced(before)
    known = state(before)
    for seed in range(rounds):
        draw = random.Random(seed)
        actors = [ACTORS[0], ACTORS[1], *draw.sample(ACTORS[2:], draw.randint(1, 3))]
        root = quick / f"store-{seed}"
        shutil.copytree(before, root)
        deadly = draw.random() < 0.4
        interleaved = Interleaved([partial(act, root) for _, act in actors], draw, kills=1 if deadly else 0)
        ended = interleaved.run()
        steps, kills = steps + interleaved.steps, kills + interleaved.killed
        said = f"seed {seed}, {[name for name, _ in actors]}: {ended}"
        for (name, _), its in zip(actors, ended, strict=True):
            deleted = name == "restore" and "were deleted" in its.said
            assert its.signal or not its.said or deleted, said
        _nothing_lost(root, known, actors, ended, said)
    figures(f"{rounds} orders of {steps} calls, {kills} processes killed, 0 lost")


def _nothing_lost(root: Path, known: dict, actors: list, ended: list, said: str) -> None:  # type: ignore[type-arg]
    collect(Layout(root), NOW)
    found = state(root)
    assert not faults(root), said
    assert not leftovers(root), said
    runs = {value[0].run for key, value in found.items() if "@" in key}
    for (name, _), its in zip(actors, ended, strict=True):
        if its.signal or its.said:
            continue
        wanted = {"publish what is gone": "run-3", "publish it too": "run-4", "publish another": "run-5"}.get(name)
        assert wanted is None or wanted in runs, said
        assert name != "restore" or "gone@1" in found, said
    if "rm" not in [name for name, _ in actors]:
        assert found["skill@1"] == known["skill@1"], said


# What it does, one thing at a time


def test_what_a_record_names_stays(store: AdapterStore) -> None:
    publish(store)
    done = collect(store.layout, NOW)
    assert (done.thrown, done.deleted, done.restored, done.swept) == ((), (), (), 0)
    assert store.path("skill").is_dir()


def test_a_removed_version_waits_in_the_trash(store: AdapterStore) -> None:
    record = publish(store)
    store.remove("skill")
    first = collect(store.layout)
    assert (first.thrown, first.deleted, first.freed) == ((record.digest,), (), 0)
    assert first.waiting > 0
    early = collect(store.layout, now=datetime.now(UTC) + timedelta(days=13))
    assert (early.deleted, early.waiting) == ((), first.waiting)
    late = collect(store.layout, now=datetime.now(UTC) + LATER)
    assert (late.deleted, late.freed, late.waiting) == ((record.digest,), first.waiting, 0)
    with pytest.raises(StoreError, match="were deleted: it cannot be brought back"):
        store.restore("skill@1")
    with pytest.raises(StoreError, match=r"was removed|were removed"):
        store.get("skill@1")


def test_files_that_two_versions_share_stay_for_the_other(store: AdapterStore) -> None:
    publish(store)
    publish(store, name="other", run="run-2")
    store.remove("skill")
    assert collect(store.layout, NOW).thrown == ()
    assert store.path("other").is_dir()


def test_it_puts_back_what_a_record_names(store: AdapterStore) -> None:
    record = publish(store)
    lost = store.layout.trash / f"{record.digest}.20260101T000000000000Z"
    lost.parent.mkdir()
    store.path("skill").rename(lost)
    assert store.path("skill") == lost  # it is found there meanwhile
    assert collect(store.layout, NOW).restored == (record.digest,)
    assert store.path("skill").parent == store.layout.objects


def test_it_stops_where_a_record_cannot_be_read(store: AdapterStore) -> None:
    publish(store)
    publish(store, name="other", run="run-2", seed=2)
    store.remove("other")
    store.layout.record("skill", 1).write_text("{}")
    before = sorted(store.layout.objects.iterdir())
    with pytest.raises(StoreError, match=r"nothing was thrown away: the record .* give the adapter up: .* rm skill@1"):
        collect(store.layout, NOW)
    assert sorted(store.layout.objects.iterdir()) == before
    store.remove("skill@1")  # as it says
    assert len(collect(store.layout, NOW).deleted) == 2


def test_it_sweeps_up_behind_the_dead_only(store: AdapterStore) -> None:
    mine = store.stage()
    for name in ("adapter.999999999.abcd", "probe.999999999.abce"):
        (store.layout.staging / name).mkdir()
    (store.layout.staging / "unknown").write_text("x")
    assert collect(store.layout, NOW).swept == 2
    assert sorted(path.name for path in store.layout.staging.iterdir()) == sorted([mine.name, "unknown"])
    old = datetime.now(UTC).timestamp() - 8 * 86_400
    os.utime(store.layout.staging / "unknown", (old, old))
    assert collect(store.layout, NOW).swept == 1


def test_notes_and_evaluations_go_when_the_files_are_gone_for_good(store: AdapterStore) -> None:
    publish(store)
    store.note("skill", "a note")
    evaluate(store, "skill")
    store.remove("skill")
    collect(store.layout)
    assert store.restore("skill@1").reference == "skill@1"
    assert [note.text for note in store.notes("skill")] == ["a note"]
    assert len(list(store.evaluations("skill"))) == 1
    store.remove("skill")
    assert collect(store.layout, NOW).attached == 2
    assert not faults(store.root)


def sound(root: Path) -> None:
    """Verified and listed, while others write: nothing is damaged, and nobody says so."""
    wrong = [fault for fault in faults(root) if fault.lost]
    assert not wrong, wrong
    list(AdapterStore(root).records(_damaged))


def _damaged(error: Exception) -> None:
    raise error


def test_reading_beside_writers(quick: Path, figures: Callable[[str], None]) -> None:
    """Verifying and listing in any order with the calls of two writers and a collection: no false alarm."""
    rounds = count(short=30, whole=500)
    before = quick / "before"
    unreferenced(before)
    for seed in range(rounds):
        draw = random.Random(seed)
        root = quick / f"store-{seed}"
        shutil.copytree(before, root)
        actors = [("verify", sound), ACTORS[0], *draw.sample(ACTORS[2:], 2)]
        ended = Interleaved([partial(act, root) for _, act in actors], draw).run()
        said = f"seed {seed}, {[name for name, _ in actors]}: {ended[0].said}"
        assert not ended[0].said, said
        shutil.rmtree(root)
    figures(f"{rounds} times verified and listed while others wrote: no false alarm")
