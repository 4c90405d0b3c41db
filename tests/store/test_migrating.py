"""A store of layout 1 is read as it is, and written once it was migrated; that may be cut short anywhere."""

from __future__ import annotations

import errno
import itertools
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from after_a_cut import Cut
from children import run
from operations import OPERATIONS, evaluate, faults, layout_1, publish_seed, state, tree
from os_calls import READING, WRITING, at, die, watched
from store_counts import count

from graftlm.contracts.errors import GraftlmError, StoreError
from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters import index as indexing
from graftlm_registry.adapters.layout import LAYOUT, Layout
from graftlm_registry.adapters.migrating import migrate
from graftlm_registry.adapters.search import Search

MIGRATE = next(operation for operation in OPERATIONS if operation.name == "migrate")


@pytest.fixture
def old(quick: Path) -> AdapterStore:
    layout_1(quick / "store")
    return AdapterStore(quick / "store")


def listed(store: AdapterStore) -> list[str]:
    with indexing.opened(store.layout) as index:
        return [summary.adapter for summary in index.find(Search())]


def test_layout_1_is_read(old: AdapterStore) -> None:
    assert old.layout.version() == 1
    assert not list(old.root.rglob("manifest.json"))
    assert [record.reference for record in old.records(_damaged)] == listed(old) == ["other@1", "skill@1", "skill@2"]
    assert old.path("skill").is_dir()
    assert old.get("other").load.name == "tiny-mistral"  # which the record itself does not say
    assert len(list(old.evaluations("skill@2"))) == 1
    assert [fault.what for fault in faults(old.root)] == ["is of an earlier layout: run graftlm store migrate"]


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.stage(),
        lambda store: store.tag("skill@1", "best"),
        lambda store: store.untag("skill", "best"),
        lambda store: store.note("skill@1", "a note"),
        lambda store: store.remove("skill@1"),
        lambda store: evaluate(store, "skill@1"),
        lambda store: publish_seed(9, "run-9")(store.root),
    ],
    ids=["stage", "tag", "untag", "note", "rm", "attach", "publish"],
)
def test_layout_1_is_not_written(write: Callable[[AdapterStore], object], old: AdapterStore) -> None:
    before = tree(old.root)
    with pytest.raises(StoreError, match="has layout 1, which this graftlm reads, but does not write: run 'graftlm"):
        write(old)
    assert tree(old.root) == before


def test_it_is_migrated(old: AdapterStore) -> None:
    before = state(old.root)
    done = migrate(old.layout)
    assert (done.before, done.records, done.folders) == (1, 3, 4)
    assert state(old.root) == before
    assert not faults(old.root)
    assert (old.layout.version(), migrate(old.layout).records) == (LAYOUT, 0)
    assert publish_seed(9, "run-9")(old.root).version == 3  # type: ignore[attr-defined]


def test_a_reader_that_began_before_goes_on(old: AdapterStore) -> None:
    """It knows the layout that it saw first."""
    before = old.get("skill@1")
    migrate(Layout(old.root))
    assert old.get("skill@1") == before
    assert old.get("other@1").reference == "other@1"


@pytest.mark.parametrize("what", ["record", "weights"])
def test_what_is_damaged_is_not_sealed(what: str, old: AdapterStore) -> None:
    """A checksum would say for ever that it is as it was written."""
    path = old.layout.record("skill", 1) if what == "record" else old.path("skill@1") / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(GraftlmError, match="move it away"):
        migrate(old.layout)
    assert old.layout.version() == 1
    assert path in [fault.path for fault in faults(old.root)] or path.parent in [f.path for f in faults(old.root)]


@pytest.mark.parametrize("call", ["scandir", "listdir"])
def test_a_folder_that_cannot_be_listed_stops_it(call: str, old: AdapterStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passed over, its records would stand without a checksum in a store whose layout says that they have one."""
    before = state(old.root)
    folder, real = str(old.layout.adapters / "skill"), getattr(os, call)

    def refused(path: object = ".") -> object:
        if str(path) == folder:
            raise PermissionError(errno.EACCES, "Permission denied", folder)
        return real(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, call, refused)
        with suppress(PermissionError):
            migrate(old.layout)
    assert state(old.root) == before


def test_killed_and_read_at_every_call(quick: Path, figures: Callable[[str], None]) -> None:
    """Killed at each call, those that read among them: every state in between is read, listed and verified."""
    cut, stride = Cut(MIGRATE, quick), count(short=9, whole=1)
    layouts: list[int] = []

    def killed_at(number: int) -> bool:
        root = cut.copy()
        ended = run(partial(_killed, root, number))
        if ended.signal != signal.SIGKILL:
            assert not ended.said, ended.said
            return False
        layouts.append(Layout(root).version())
        assert listed(AdapterStore(root)) == ["other@1", "skill@1", "skill@2"]
        cut.check(root)
        assert Layout(root).version() == LAYOUT
        return True

    number = next(number for number in itertools.count(stride, stride) if not killed_at(number))
    for last in range(number - stride + 1, number):  # at the end the layout's version changes
        killed_at(last)
    assert set(layouts) == {1, 2}
    figures(f"{len(layouts)} kills: read in every state, migrated by the next try, 0 corrupt")


def _killed(root: Path, number: int) -> None:
    with watched(at(number, die), names=(*WRITING, *READING)):
        MIGRATE.act(root)


def _damaged(error: Exception) -> None:
    raise error
