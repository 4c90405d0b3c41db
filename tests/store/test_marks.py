"""Tags, notes, removal and restoring: what they say, and what they refuse."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from kept_adapters import publish
from operations import evaluate, faults, publish_seed, state, thrown, tree

from graftlm.contracts.errors import StoreError
from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters.durable import create_exclusively


@pytest.fixture
def kept(store: AdapterStore) -> AdapterStore:
    for seed in (1, 2, 3):
        publish(store, run=f"run-{seed}", seed=seed)
    return store


# Tags


def test_a_tag_names_a_version(kept: AdapterStore) -> None:
    given = kept.tag("skill@2", "best")
    assert (given.reference, given.tag, given.before) == ("skill@2", "best", None)
    assert kept.get("skill@best").version == 2
    assert kept.get("skill").version == 3


def test_a_tag_moves_to_another_version(kept: AdapterStore) -> None:
    kept.tag("skill@2", "best")
    assert kept.tag("skill", "best").before == 2
    assert kept.get("skill@best").version == 3
    assert kept.tags("skill") == {"best": 3}


def test_a_version_has_many_tags_and_another_name_its_own(kept: AdapterStore) -> None:
    publish(kept, name="other", run="run-4", seed=4)
    for reference, tag in (("skill@1", "b"), ("skill@1", "a"), ("other", "a")):
        kept.tag(reference, tag)
    assert (kept.tags("skill"), kept.tags("other"), kept.tags("nobody")) == ({"a": 1, "b": 1}, {"a": 1}, {})


def test_a_tag_is_tagged_by_a_tag(kept: AdapterStore) -> None:
    kept.tag("skill@1", "best")
    assert kept.tag("skill@best", "stable").reference == "skill@1"


def test_a_tag_is_taken_away(kept: AdapterStore) -> None:
    kept.tag("skill@1", "best")
    kept.untag("skill", "best")
    with pytest.raises(StoreError, match="unknown tag of skill 'best'"):
        kept.get("skill@best")
    with pytest.raises(StoreError, match="unknown tag of skill 'best'"):
        kept.untag("skill", "best")
    assert not list(kept.layout.staging.iterdir())


@pytest.mark.parametrize("tag", ["Best", "1", "../a", "", "a" * 65, "a/b", "a.", "é"])
def test_what_is_no_tag_is_refused(tag: str, kept: AdapterStore) -> None:
    with pytest.raises(StoreError, match="is not a tag"):
        kept.tag("skill@1", tag)
    assert not kept.layout.tags.exists()


@pytest.mark.parametrize("reference", ["skill@4", "nobody", "skill@nothing"])
def test_only_what_is_there_is_tagged(reference: str, kept: AdapterStore) -> None:
    with pytest.raises(StoreError):
        kept.tag(reference, "best")
    assert not kept.layout.tags.exists()


def test_a_damaged_tag_is_a_sentence(kept: AdapterStore) -> None:
    kept.tag("skill@1", "best")
    path = kept.layout.tags / "skill" / "best.json"
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2'))
    with pytest.raises(StoreError, match=r"the tag .*best\.json is damaged"):
        kept.get("skill@best")
    kept.untag("skill", "best")
    kept.tag("skill@1", "best")
    assert kept.get("skill@best").version == 1


# Notes


def test_notes_are_kept_in_order(kept: AdapterStore) -> None:
    texts = ["first", "second\nof two lines", "döner 🥙"]
    for text in texts:
        kept.note("skill@1", text)
    assert [note.text for note in kept.notes("skill@1")] == texts
    assert kept.notes("skill@2") == ()


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_an_empty_note_is_refused(text: str, kept: AdapterStore) -> None:
    with pytest.raises(StoreError, match="an empty note says nothing"):
        kept.note("skill", text)
    assert not kept.layout.notes.exists()


def test_a_note_does_not_change_the_record(kept: AdapterStore) -> None:
    before = kept.layout.record("skill", 1).read_bytes()
    kept.note("skill@1", "a note")
    kept.tag("skill@1", "best")
    evaluate(kept, "skill@1")
    assert kept.layout.record("skill", 1).read_bytes() == before


def test_an_evaluation_is_kept_once(kept: AdapterStore) -> None:
    assert evaluate(kept, "skill@1") == evaluate(kept, "skill@1")
    assert len(list(kept.evaluations("skill@1"))) == 1
    assert not list(kept.layout.staging.iterdir())


# Removing


def test_a_removed_version_is_out_of_sight(kept: AdapterStore) -> None:
    assert kept.remove("skill") == "skill@3"
    assert (kept.get("skill").version, kept.versions("skill").removed) == (2, [3])
    with pytest.raises(StoreError, match="skill@3 was removed: 'graftlm adapters restore skill@3' brings it back"):
        kept.get("skill@3")
    with pytest.raises(StoreError):
        kept.remove("skill@3")


def test_a_removed_number_is_never_given_again(kept: AdapterStore) -> None:
    for version in (3, 2, 1):
        kept.remove(f"skill@{version}")
    with pytest.raises(StoreError, match="all versions of skill were removed"):
        kept.get("skill")
    assert kept.names() == []
    assert publish(kept, run="run-9", seed=9).version == 4


def test_a_number_that_was_removed_meanwhile_is_not_taken(kept: AdapterStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer has found that 4 is free; before it claims that, another publishes 4 and removes it again."""
    link, meanwhile = os.link, []

    def late(source: Any, target: Any) -> None:
        if not meanwhile:
            meanwhile.append(target)
            publish_seed(8, "run-8")(kept.root)
            kept.remove("skill@4")
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert publish(kept, run="run-9", seed=9).version == 5
    assert kept.versions("skill").removed == [4]
    assert kept.restore("skill@4").run == "run-8"
    assert not faults(kept.root)


def test_a_tagged_version_is_not_removed(kept: AdapterStore) -> None:
    kept.tag("skill@1", "best")
    with pytest.raises(StoreError, match="skill@1 is tagged 'best'"):
        kept.remove("skill@1")
    kept.untag("skill", "best")
    kept.remove("skill@1")


def test_restoring_brings_back_all_of_it(kept: AdapterStore) -> None:
    kept.note("skill@2", "a note")
    evaluate(kept, "skill@2")
    before = state(kept.root)
    kept.remove("skill@2")
    assert state(kept.root) != before
    assert kept.restore("skill@2").reference == "skill@2"
    assert state(kept.root) == before


def test_restoring_takes_the_last_one_that_was_removed(kept: AdapterStore) -> None:
    kept.remove("skill@1")
    kept.remove("skill@3")
    assert kept.restore("skill").reference == "skill@3"
    with pytest.raises(StoreError, match=r"skill@3 was not removed \(removed versions of skill: skill@1\)"):
        kept.restore("skill@3")


def test_out_of_the_trash(quick: Path) -> None:
    root = quick / "store"
    thrown(root)
    store = AdapterStore(root)
    assert list(store.layout.trash.iterdir())
    store.restore("skill@1")
    assert store.path("skill@1").parent == store.layout.objects
    assert not list(store.layout.trash.iterdir())


# Without hard links


def no_links(*_: Any, **__: Any) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def test_all_of_it_works_without_hard_links(store: AdapterStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", no_links)
    for seed in (1, 2):
        publish(store, run=f"run-{seed}", seed=seed)
    store.note("skill@1", "a note")
    store.tag("skill@1", "best")
    store.remove("skill@2")
    assert [note.text for note in store.notes("skill@1")] == ["a note"]
    assert publish(store, run="run-3", seed=3).version == 3
    assert not faults(store.root)


def test_a_claim_burns_the_number_of_one_who_died(store: AdapterStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the claim and the record: nobody can know whether it still comes."""
    publish(store, run="run-1", seed=1)
    monkeypatch.setattr(os, "link", no_links)
    store.layout.record("skill", 2).with_name("2.json.claim").write_bytes(b"")
    assert publish(store, run="run-2", seed=2).version == 3
    assert not faults(store.root)


def test_nothing_is_replaced_without_hard_links(quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", no_links)
    create_exclusively(quick / "file", b"first", quick / "a")
    with pytest.raises(FileExistsError):
        create_exclusively(quick / "file", b"second", quick / "b")
    assert tree(quick).keys() == {"file", "file.claim"}
    assert (quick / "file").read_bytes() == b"first"


def test_a_store_whose_maker_died(store: AdapterStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the claim of layout.json and the file."""
    store.root.mkdir()
    (store.root / "layout.json.claim").write_bytes(b"")
    monkeypatch.setattr(os, "link", no_links)
    publish(store)
    assert store.layout.version_file.exists()
    assert not faults(store.root)
