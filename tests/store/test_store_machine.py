"""A hypothesis state machine: whatever is done to a store, cut short or not, a dict says the same of it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from conftest import MEMORY
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from kept_adapters import publish
from operations import NOW, evaluate, faults, state
from os_calls import Call, watched
from store_counts import count

from graftlm.contracts.errors import StoreError
from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters import index as indexing
from graftlm_registry.adapters.collecting import collect
from graftlm_registry.adapters.search import Search

NAMES = st.sampled_from(["one", "two"])
SEEDS = st.integers(0, 2)
RUNS = st.sampled_from(["run-1", "run-2"])
TAGS = st.sampled_from(["best", "old"])
VERSIONS = st.integers(1, 4)
EXAMPLES = count(short=60, whole=2000)


class Cut(BaseException):
    """The process ends here: nothing more of what it was doing is done."""


@dataclass
class Kept:
    """A version, in the model."""

    run: str
    seed: int
    notes: list[str] = field(default_factory=list)
    evaluations: int = 0
    removed: bool = False
    deleted: bool = False


class StoreMachine(RuleBasedStateMachine):
    """The model: by name, the versions from 1, and the tags."""

    def __init__(self) -> None:
        super().__init__()
        place = MEMORY if MEMORY.is_dir() else None
        self.folder = Path(tempfile.mkdtemp(prefix="graftlm-machine-", dir=place))
        self.store = AdapterStore(self.folder / "store")
        self.versions: dict[str, dict[int, Kept]] = {}
        self.tags: dict[str, dict[str, int]] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    # What can be done

    @initialize()
    def begin(self) -> None:
        self.publish("one", 0, "run-1")

    @rule(name=NAMES, seed=SEEDS, run=RUNS)
    def publish(self, name: str, seed: int, run: str) -> None:
        record = publish(self.store, name=name, seed=seed, run=run)
        self.published(name, seed, run, record.version)

    def published(self, name: str, seed: int, run: str, version: int) -> None:
        of_name = self.versions.setdefault(name, {})
        same = [n for n, kept in of_name.items() if (kept.run, kept.seed, kept.removed) == (run, seed, False)]
        assert version == (same[0] if same else max(of_name, default=0) + 1)
        of_name.setdefault(version, Kept(run, seed))
        for each in self.all_versions():
            each.deleted = each.deleted and each.seed != seed  # the same files are there again

    @rule(name=NAMES, version=VERSIONS, tag=TAGS)
    def tag(self, name: str, version: int, tag: str) -> None:
        if self.kept(name, version):
            before = self.tags.get(name, {}).get(tag)
            assert self.store.tag(f"{name}@{version}", tag).before == before
            self.tags.setdefault(name, {})[tag] = version
        else:
            refused(lambda: self.store.tag(f"{name}@{version}", tag))

    @rule(name=NAMES, tag=TAGS)
    def untag(self, name: str, tag: str) -> None:
        if tag in self.tags.get(name, {}):
            self.store.untag(name, tag)
            del self.tags[name][tag]
        else:
            refused(lambda: self.store.untag(name, tag))

    @rule(name=NAMES, version=VERSIONS, text=st.sampled_from(["good", "bad"]))
    def note(self, name: str, version: int, text: str) -> None:
        if kept := self.kept(name, version):
            self.store.note(f"{name}@{version}", text)
            kept.notes.append(text)
        else:
            refused(lambda: self.store.note(f"{name}@{version}", text))

    @rule(name=NAMES, version=VERSIONS)
    def attach(self, name: str, version: int) -> None:
        if kept := self.kept(name, version):
            evaluate(self.store, f"{name}@{version}")
            kept.evaluations = 1
        else:
            refused(lambda: evaluate(self.store, f"{name}@{version}"))

    @rule(name=NAMES, version=VERSIONS)
    def rm(self, name: str, version: int) -> None:
        kept = self.kept(name, version)
        if kept and version not in self.tags.get(name, {}).values():
            assert self.store.remove(f"{name}@{version}") == f"{name}@{version}"
            kept.removed = True
        else:
            refused(lambda: self.store.remove(f"{name}@{version}"))

    @rule(name=NAMES, version=VERSIONS)
    def restore(self, name: str, version: int) -> None:
        kept = self.versions.get(name, {}).get(version)
        if kept and kept.removed and not kept.deleted:
            assert self.store.restore(f"{name}@{version}").run == kept.run
            kept.removed = False
        else:
            refused(lambda: self.store.restore(f"{name}@{version}"))

    @rule(at_once=st.booleans())
    def gc(self, at_once: bool) -> None:
        collect(self.store.layout, NOW if at_once else timedelta(days=14))
        self.collected(at_once)

    def collected(self, at_once: bool) -> None:
        needed = {kept.seed for kept in self.all_versions() if not kept.removed}
        for kept in self.all_versions():
            if kept.removed and at_once and kept.seed not in needed:
                kept.deleted, kept.notes, kept.evaluations = True, [], 0

    @rule()
    def open_again(self) -> None:
        self.store = AdapterStore(self.store.root)

    @precondition(lambda self: self.versions)
    @rule(data=st.data(), what=st.sampled_from(["publish", "tag", "note", "rm", "restore", "gc"]))
    def cut_short(self, data: st.DataObject, what: str) -> None:
        """One of these, and from some call of the os on nothing of it happens any more."""
        name, version = data.draw(NAMES), data.draw(VERSIONS)
        seed, run, tag, number = data.draw(SEEDS), data.draw(RUNS), data.draw(TAGS), data.draw(st.integers(1, 60))
        reference = f"{name}@{version}"
        acts: dict[str, Callable[[], object]] = {
            "publish": lambda: publish(self.store, name=name, seed=seed, run=run),
            "tag": lambda: self.store.tag(reference, tag),
            "note": lambda: self.store.note(reference, "cut"),
            "rm": lambda: self.store.remove(reference),
            "restore": lambda: self.store.restore(reference),
            "gc": lambda: collect(self.store.layout, NOW),
        }

        def dead(call: Call) -> None:
            if call.number >= number:
                raise Cut

        with suppress(Cut, StoreError), watched(dead):
            acts[what]()
        for path in self.store.layout.staging.iterdir():  # another process's, who has died
            parts = path.name.split(".")
            parts[-3] = "999999999"
            path.rename(path.with_name(".".join(parts)))
        self.store = AdapterStore(self.store.root)
        self.learn(what, name, version, (seed, run), tag)

    def learn(self, what: str, name: str, version: int, made: tuple[int, str], tag: str) -> None:
        """What was done, or was not: the model takes over which of the two it is, and nothing else."""
        store = self.store
        kept = self.kept(name, version)
        if what == "publish":
            new = set(store.versions(name).kept) - {
                n for n, its in self.versions.get(name, {}).items() if not its.removed
            }
            assert len(new) <= 1
            for number in new:
                self.published(name, *made, number)
            self.files_are_there(made[0])
        elif what == "tag" and store.tags(name) != self.tags.get(name, {}):
            assert kept
            self.tags.setdefault(name, {})[tag] = version
        elif what == "note" and kept:
            kept.notes = kept.notes + ["cut"] * (len(store.notes(f"{name}@{version}")) - len(kept.notes))
        elif what == "rm" and kept:
            kept.removed = version in store.versions(name).removed
        elif what == "restore" and (its := self.versions.get(name, {}).get(version)):
            its.removed = version in store.versions(name).removed
        elif what == "gc":
            collect(store.layout, NOW)
            self.collected(at_once=True)

    def files_are_there(self, seed: int) -> None:
        """Files may have come into their place with no record that names them: what was deleted can be restored."""
        from kept_adapters import fill

        from graftlm_registry.adapters.content import content_digest

        digest = content_digest(fill(self.folder / f"files-{seed}", seed=seed))
        if (self.store.layout.objects / digest).is_dir():
            for kept in self.all_versions():
                kept.deleted = kept.deleted and kept.seed != seed

    # What must be so

    @invariant()
    def the_store_says_what_the_model_says(self) -> None:
        said = state(self.store.root)
        names = sorted(name for name in self.versions if self.numbers(name))
        assert sorted(key for key in said if "@" not in key) == names == self.store.names()
        for name in names:
            versions, tags = said[name]
            assert versions.kept == self.numbers(name)
            assert versions.removed == [n for n, kept in sorted(self.versions[name].items()) if kept.removed]
            assert tags == self.tags.get(name, {})
            assert self.store.get(name).version == self.numbers(name)[-1]
            for number in self.numbers(name):
                record, notes, evaluations = said[f"{name}@{number}"]
                kept = self.versions[name][number]
                assert (record.run, notes, len(evaluations)) == (kept.run, kept.notes, kept.evaluations)

    @invariant()
    def the_index_says_the_same(self) -> None:
        with indexing.opened(self.store.layout) as index:
            listed = [summary.adapter for summary in index.find(Search())]
            tagged = {(name, tag): version for (name, version), tags in index.tags().items() for tag in tags}
            assert not index.damaged()
        assert listed == [f"{name}@{number}" for name in sorted(self.versions) for number in self.numbers(name)]
        assert tagged == {(name, tag): version for name, tags in self.tags.items() for tag, version in tags.items()}

    @invariant()
    def verify_finds_nothing(self) -> None:
        wrong = [fault for fault in faults(self.store.root) if "gc puts them back" not in fault.what]
        assert not wrong

    # The model

    def all_versions(self) -> list[Kept]:
        return [kept for versions in self.versions.values() for kept in versions.values()]

    def kept(self, name: str, version: int) -> Kept | None:
        found = self.versions.get(name, {}).get(version)
        return found if found and not found.removed else None

    def numbers(self, name: str) -> list[int]:
        return sorted(number for number, kept in self.versions.get(name, {}).items() if not kept.removed)


def refused(what: Callable[[], object]) -> None:
    try:
        what()
    except StoreError:
        return
    raise AssertionError("it was not refused")


StoreMachine.TestCase.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck),
    derandomize=True, database=None, print_blob=False,
)  # fmt: skip


class TestStoreMachine(StoreMachine.TestCase):  # type: ignore[name-defined,misc]
    """Run by pytest."""

    def runTest(self) -> None:
        super().runTest()
        print(f"FIGURES a state machine: {EXAMPLES} examples of up to 20 steps, the store and the model always agree")
