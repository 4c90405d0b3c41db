"""Everything that changes a store, small: how the store looks before, and what is done to it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kept_adapters import draft, fill, publish

from graftlm.contracts.serial import file_digest
from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters.collecting import GRACE, collect
from graftlm_registry.adapters.content import content_digest
from graftlm_registry.adapters.layout import Layout, explained
from graftlm_registry.adapters.migrating import migrate
from graftlm_registry.adapters.objects import to_trash
from graftlm_registry.adapters.records import record_json
from graftlm_registry.adapters.verifying import Fault, Verifying

NOW = timedelta(0)
"""A grace period that is over."""


@dataclass(frozen=True)
class Operation:
    """``set_up`` makes the store, if there is to be one; ``act`` is done to it, and may be repeated."""

    name: str
    set_up: Callable[[Path], object]
    act: Callable[[Path], object]

    def __str__(self) -> str:
        return self.name


def nothing(root: Path) -> None:
    """There is no store yet."""


def two_versions(root: Path) -> AdapterStore:
    store = AdapterStore(root)
    for seed in (1, 2):
        publish(store, run=f"run-{seed}", seed=seed)
    return store


def tagged(root: Path) -> None:
    two_versions(root).tag("skill@1", "best")


def noted(root: Path) -> None:
    two_versions(root).note("skill@1", "the first one")


def removed(root: Path) -> None:
    store = two_versions(root)
    store.note("skill@1", "the first one")
    store.remove("skill@1")


def thrown(root: Path) -> None:
    """Removed, and in the trash."""
    removed(root)
    collect(Layout(root))


def littered(root: Path) -> None:
    """What a collection can find: something thrown away, to be thrown away, to be put back, left behind; notes and an
    evaluation of what is gone.
    """
    store = two_versions(root)
    for seed, name in ((3, "gone"), (4, "thrown"), (5, "kept")):
        publish(store, name=name, run=f"run-{seed}", seed=seed)
    store.note("gone@1", "of what is gone")
    evaluate(store, "gone@1")
    store.note("kept", "of what stays")
    store.remove("gone")
    store.remove("thrown")
    lost = store.get("kept").digest
    collect(store.layout, now=datetime.now(UTC) - timedelta(days=30))
    publish(store, name="thrown", run="run-6", seed=6)
    store.remove("thrown@2")
    to_trash(store.layout, lost, datetime.now(UTC))
    (store.layout.staging / "record.999999999.abcd").write_text("left behind")
    fill(store.layout.staging / "adapter.999999999.abce", seed=7)


def layout_1(root: Path) -> None:
    """As graftlm wrote it before there were checksums: an older record among them, and an evaluation."""
    store = two_versions(root)
    publish(store, name="other", run="run-3", seed=3)
    evaluate(store, "skill@2")
    to_layout_1(store.layout)


def to_layout_1(layout: Layout) -> None:
    for path in layout.root.rglob("manifest.json"):
        path.unlink()
    for path in layout.adapters.rglob("*.json"):
        path.write_bytes(record_json(path, 2) + b"\n")
    old = json.loads(layout.record("other", 1).read_bytes())
    del old["load"]  # from before a base could be loaded in more than one way
    layout.record("other", 1).write_text(json.dumps(old) + "\n")
    layout.version_file.write_text('{"layout":1}\n')


# What is done


def publish_seed(seed: int, run: str, name: str = "skill") -> Callable[[Path], object]:
    """As a training does it: the staged folder is removed in the end, however that is."""

    def act(root: Path) -> object:
        store = AdapterStore(root)
        staged = store.stage()
        try:
            with explained(root):
                digest = content_digest(fill(staged, seed=seed))
            return store.publish(staged, draft(digest, name=name, run=run))
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    return act


def evaluate(store: AdapterStore, reference: str) -> Path:
    """As an evaluation keeps itself."""
    staged = store.stage()
    try:
        with explained(store.root):
            (staged / "evaluation.json").write_text('{"scores":[]}')
            (staged / "rows.jsonl").write_text('{"row":1}\n' * 3)
        return store.attach(reference, staged, "abcd-1234")
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def doing(method: str, *arguments: Any) -> Callable[[Path], object]:
    return lambda root: getattr(AdapterStore(root), method)(*arguments)


def collecting(grace: timedelta) -> Callable[[Path], object]:
    def act(root: Path) -> object:
        with explained(root):
            return collect(Layout(root), grace)

    return act


def migrating(root: Path) -> object:
    with explained(root):
        return migrate(Layout(root))


OPERATIONS = (
    Operation("publish into nothing", nothing, publish_seed(1, "run-1")),
    Operation("publish again", two_versions, publish_seed(3, "run-3")),
    Operation("publish under another name", two_versions, publish_seed(3, "run-3", "other")),
    Operation("publish files that are there", two_versions, publish_seed(1, "run-3", "other")),
    Operation("publish a run again", two_versions, publish_seed(1, "run-1")),
    Operation("tag", two_versions, doing("tag", "skill@1", "best")),
    Operation("tag again", tagged, doing("tag", "skill@2", "best")),
    Operation("untag", tagged, doing("untag", "skill", "best")),
    Operation("note", two_versions, doing("note", "skill@1", "the first one")),
    Operation("note again", noted, doing("note", "skill@1", "still the first one")),
    Operation("rm", noted, doing("remove", "skill@1")),
    Operation("restore", removed, doing("restore", "skill@1")),
    Operation("restore out of the trash", thrown, doing("restore", "skill@1")),
    Operation("attach", two_versions, lambda root: evaluate(AdapterStore(root), "skill@1")),
    Operation("gc", littered, collecting(NOW)),
    Operation("gc with a grace period", littered, collecting(GRACE)),
    Operation("migrate", layout_1, migrating),
)


# What is seen


def state(root: Path) -> dict[str, Any]:
    """All that the store says to a fresh reader, every adapter's files read; not when a tag or note was written."""
    store = AdapterStore(root)
    found: dict[str, Any] = {}
    for name in store.names():
        for version in store.versions(name).kept:
            reference = f"{name}@{version}"
            record = store.get(reference)
            assert content_digest(store.path(reference)) == record.digest, f"{reference} holds another adapter"
            evaluations = {
                folder.name: {path.name: file_digest(path) for path in folder.iterdir() if path.name != "manifest.json"}
                for folder in store.evaluations(reference)
            }
            found[reference] = (record, [note.text for note in store.notes(reference)], evaluations)
        found[name] = (store.versions(name), store.tags(name))
    return found


def faults(root: Path) -> list[Fault]:
    return list(Verifying(Layout(root)).faults())


def leftovers(root: Path) -> list[str]:
    """What should not be there after a collection without a grace period."""
    layout = Layout(root)
    named = {record.digest for record in AdapterStore(root).records(_damaged)}
    staged = [str(path) for path in layout.staging.iterdir()] if layout.staging.is_dir() else []
    objects = {path.name for path in layout.objects.iterdir()} if layout.objects.is_dir() else set()
    trash = [str(path) for path in layout.trash.iterdir()] if layout.trash.is_dir() else []
    return [*staged, *trash, *sorted(objects ^ named)]


def tree(root: Path) -> dict[str, str]:
    """Every file with its digest; folders do not count."""
    return {str(path.relative_to(root)): file_digest(path) for path in sorted(root.rglob("*")) if path.is_file()}


def _damaged(error: Exception) -> None:
    raise error
