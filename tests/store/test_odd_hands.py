"""What people, other machines and damage do to a store: nothing is overwritten, nothing is shown that is not so."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from kept_adapters import WEIGHTS, draft, fill, publish
from operations import NOW, faults

from graftlm.contracts.errors import StoreError
from graftlm.contracts.record import AdapterRecord
from graftlm_registry.adapters import AdapterStore, layout
from graftlm_registry.adapters.collecting import collect
from graftlm_registry.adapters.content import content_digest
from graftlm_registry.adapters.index import index_faults, opened
from graftlm_registry.adapters.records import record_bytes
from graftlm_registry.adapters.search import Search


def listed(store: AdapterStore, **asked: str) -> list[str]:
    with opened(store.layout) as index:
        return [each.adapter for each in index.find(Search(**asked))]


def again(store: AdapterStore, **fields: object) -> AdapterRecord:
    """The same files once more, without a run."""
    staged = fill(store.stage())
    return store.publish(staged, replace(draft(content_digest(staged), run=""), **fields))  # type: ignore[arg-type]


def test_a_removed_number_is_nobody_elses(store: AdapterStore) -> None:
    """Its record stays where it is: a writer that is late finds the number taken, and a restore overwrites nobody."""
    publish(store, run="run-1", seed=1)
    publish(store, run="run-2", seed=2)
    store.remove("skill@2")
    assert publish(store, run="run-3", seed=3).version == 3
    assert store.restore("skill@2").run == "run-2"
    assert [store.get(f"skill@{version}").run for version in (1, 2, 3)] == ["run-1", "run-2", "run-3"]


def test_a_good_copy_takes_the_place_of_a_damaged_one(store: AdapterStore) -> None:
    record = publish(store)
    weights = store.path("skill") / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert faults(store.root)
    assert publish(store) == record
    assert not faults(store.root)
    assert content_digest(store.path("skill")) == record.digest
    collect(store.layout, NOW)
    assert not faults(store.root)
    assert content_digest(store.path("skill")) == record.digest


def test_other_choices_make_another_version_of_the_same_files(store: AdapterStore) -> None:
    """Where no run tells them apart: an import with another template corrects the first one."""
    first = again(store, template="mistral-v3")
    assert again(store, template="mistral-v3", created="2026-02-02T00:00:00+00:00", source="elsewhere") == first
    other = again(store, template="mistral-v1")
    assert (other.version, other.template, other.digest) == (2, "mistral-v1", first.digest)
    assert again(store, template="mistral-v1") == other


def test_a_name_that_was_moved_to_another_disk(store: AdapterStore, tmp_path: Path) -> None:
    """And linked back: it is an adapter like any other, also for a collection."""
    publish(store)
    shutil.move(store.layout.adapters / "skill", tmp_path / "skill")
    (store.layout.adapters / "skill").symlink_to(tmp_path / "skill")
    assert store.names() == ["skill"]
    assert listed(store) == ["skill@1"]
    collect(store.layout, NOW)
    assert content_digest(store.path("skill")) == store.get("skill").digest
    if tmp_path.stat().st_dev == store.root.stat().st_dev:
        assert publish(store, run="run-2", seed=2).version == 2
    else:
        with pytest.raises(StoreError, match="a store must lie on one disk"):
            publish(store, run="run-2", seed=2)


def test_machines_of_one_name_are_not_one(store: AdapterStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a clone of this machine is writing is nobody's to sweep."""
    staged = fill(store.stage())
    other = staged.rename(staged.with_name(staged.name.replace(layout.here(), "0123abcd").replace(".", ".9", 1)))
    real = Path.read_text

    def another_boot(path: Path, *arguments: object, **more: object) -> str:
        text = real(path, *arguments, **more)  # type: ignore[arg-type]
        return "another" if path.name == "boot_id" else text

    here = layout.here()
    monkeypatch.setattr(Path, "read_text", another_boot)
    assert layout.here() != here
    collect(store.layout, NOW)
    assert other.is_dir()


def test_a_copied_record_is_not_taken_for_anothers(store: AdapterStore) -> None:
    publish(store)
    shutil.copytree(store.layout.adapters / "skill", store.layout.adapters / "copied")
    with pytest.raises(StoreError, match="is that of skill@1: somebody copied it there"):
        store.get("copied")
    assert listed(store) == ["skill@1"]


def test_the_index_sees_what_was_replaced(store: AdapterStore) -> None:
    """A name deleted by hand and published anew; a record that is damaged, and brought back."""
    publish(store)
    assert listed(store) == ["skill@1"]
    shutil.rmtree(store.layout.adapters / "skill")
    record = publish(store, run="run-2", seed=2)
    with opened(store.layout) as index:
        assert [each.digest for each in index.find(Search())] == [record.digest]
    path = store.layout.record("skill", 1)
    path.write_bytes(b"{}\n")
    publish(store, run="run-3", seed=3)
    with opened(store.layout) as index:
        assert len(index.damaged()) == 1
        assert [each.adapter for each in index.find(Search())] == ["skill@2"]
    path.write_bytes(record_bytes(record))  # in place: its folder does not change
    with opened(store.layout) as index:
        assert not index.damaged()
        assert [each.adapter for each in index.find(Search())] == ["skill@1", "skill@2"]


def test_one_damaged_tag_hides_no_other(store: AdapterStore) -> None:
    publish(store)
    for tag in ("first", "second"):
        store.tag("skill@1", tag)
    (store.layout.tags / "skill" / "first.json").write_bytes(b"")
    assert listed(store, tag="second") == ["skill@1"]
    with opened(store.layout) as index:
        assert "first.json" in index.damaged()[0]


def test_looking_for_faults_changes_nothing(store: AdapterStore) -> None:
    publish(store)
    listed(store)
    assert index_faults(store.layout) == ""
    publish(store, run="run-2", seed=2)
    assert index_faults(store.layout) == ""  # behind, and no worse for that
    store.layout.index.write_bytes(b"x" * 5000)
    assert "cannot be read" in index_faults(store.layout)
    assert store.layout.index.read_bytes() == b"x" * 5000


def test_a_damaged_record_can_be_given_up(store: AdapterStore) -> None:
    publish(store)
    publish(store, run="run-2", seed=2)
    store.layout.record("skill", 1).write_bytes(b"\xff")
    assert store.remove("skill@1") == "skill@1"
    assert not [fault for fault in faults(store.root) if fault.lost]
    collect(store.layout, NOW)
    assert store.versions("skill").kept == [2]
    assert publish(store, run="run-3", seed=3).version == 3
