"""Whatever byte of a store is changed: ``verify`` finds it, and names the file."""

from __future__ import annotations

import collections
import random
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from kept_adapters import publish
from mutating import mutated
from operations import evaluate, faults
from store_counts import count

from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters import index as indexing
from graftlm_registry.adapters.collecting import collect
from graftlm_registry.adapters.search import Search

KINDS = {
    "layout.json": "layout", "objects": "object", "adapters": "record", "tags": "tag", "notes": "note",
    "evaluations": "evaluation", "trash": "trash",
}  # fmt: skip


@pytest.fixture
def full(store: AdapterStore) -> AdapterStore:
    """A store with every kind of file."""
    for seed in (1, 2, 3):
        publish(store, run=f"run-{seed}", seed=seed)
    publish(store, name="other", run="run-4", seed=1)
    store.tag("skill@1", "best")
    store.tag("other", "stable")
    store.note("skill@2", "a note")
    evaluate(store, "skill@1")
    store.remove("skill@3")
    collect(store.layout, now=datetime.now(UTC) - timedelta(days=1))
    assert not faults(store.root)
    return store


def kind(path: Path, root: Path) -> str:
    first = KINDS[path.relative_to(root).parts[0]]
    if path.name == "manifest.json":
        return f"{first}'s manifest"
    return "tombstone" if path.name.endswith(".removed.json") else first


def test_mutations_of_stored_bytes(full: AdapterStore, figures: Callable[[str], None]) -> None:
    """One file changed at a time, the whole store verified, and the change undone."""
    draw = random.Random(20261123)
    files = sorted(path for path in full.root.rglob("*") if path.is_file())
    wanted = count(short=1200, whole=10_000)
    found: collections.Counter[str] = collections.Counter()
    while found.total() < wanted:
        path = draw.choice(files)
        change = mutated(path, draw)
        if change is None:
            continue
        how, before = change
        wrong = faults(full.root)
        names = {path, path.parent / "manifest.json"}
        assert [fault for fault in wrong if fault.path in names], f"{how} in {path}: {wrong}"
        path.write_bytes(before)
        found[kind(path, full.root)] += 1
    assert not faults(full.root)
    assert len(found) == 11, found
    figures(f"{found.total()} mutations, all found and named: {', '.join(f'{n} {k}' for k, n in found.most_common())}")


def test_files_that_are_gone_or_added(full: AdapterStore) -> None:
    """Each file taken away; a file more in each folder."""
    for path in sorted(path for path in full.root.rglob("*") if path.is_file()):
        data = path.read_bytes()
        path.unlink()
        wrong = [fault.path for fault in faults(full.root)]
        kept_apart = kind(path, full.root) in ("tag", "note", "record", "tombstone")  # nothing else tells of these
        assert kept_apart or path in wrong, path
        path.write_bytes(data)
    for folder in sorted(path for path in full.root.rglob("*") if path.is_dir() and path.name != "staging"):
        more = folder / "more.json"
        more.write_text("{}")
        assert more in [fault.path for fault in faults(full.root)], more
        more.unlink()
    assert not faults(full.root)


def test_files_that_took_each_others_place(full: AdapterStore) -> None:
    """Whole and sealed, each of them, and not where they belong."""
    layout = full.layout
    one, two = layout.record("skill", 1), layout.record("skill", 2)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    assert {one, two} <= {fault.path for fault in faults(full.root) if fault.lost}
    one.write_bytes(first)
    two.write_bytes(second)
    a, b = sorted(layout.objects.iterdir())
    spare = layout.staging / "spare"
    for source, target in ((a, spare), (b, a), (spare, b)):
        shutil.move(source, target)
    assert {a, b} <= {fault.path for fault in faults(full.root) if fault.lost}


def listing(store: AdapterStore) -> list[object]:
    with indexing.opened(store.layout) as index:
        found = index.find(Search())
        records = [index.record_json(summary) for summary in found]
        return [found, index.tags(), index.damaged(), records, index.find(Search(tag="best", sort="score"))]


def test_mutations_of_the_index(full: AdapterStore, figures: Callable[[str], None]) -> None:
    """Every list is right afterwards, or ``index_faults`` says that it may not be; and then a new index is right."""
    right = listing(full)
    listing(full)
    path, draw = full.layout.index, random.Random(8)
    whole = path.read_bytes()
    wanted = count(short=150, whole=500)
    done = said = 0
    while done < wanted:
        path.write_bytes(whole)
        if mutated(path, draw) is None:
            continue
        done += 1
        wrong = indexing.index_faults(full.layout)
        if wrong:
            said += 1
            path.unlink(missing_ok=True)
        assert listing(full) == right, wrong
    figures(f"{done} mutations of the index: {done - said} lists were right all the same, {said} were told")
