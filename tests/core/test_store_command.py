"""``graftlm store``, and what is done to an adapter that is kept: tagged, removed, brought back, deleted for good."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Said
from kept_adapters import WEIGHTS, publish
from several_adapters import kept, publish_several

from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters.content import content_digest

Run = Callable[..., Said]


@pytest.fixture
def store(home: Path) -> AdapterStore:
    return AdapterStore(home / "store")


@pytest.fixture
def several(store: AdapterStore) -> AdapterStore:
    return publish_several(store)


def test_a_tag_is_a_name(several: AdapterStore, run: Run) -> None:
    assert run("adapters", "show", "colours@best", "--json").out == run("adapters", "show", "colours@1", "--json").out
    said = run("adapters", "tag", "colours", "best")
    assert "colours@2 is tagged 'best', and colours@1 no more" in said.out
    assert run("adapters", "tag", "colours").out == "best  colours@2\n"
    assert run("adapters", "tag", "colours", "best", "--remove").code == 0
    gone = run("adapters", "show", "colours@best")
    assert (gone.code, gone.err) == (2, "Error: unknown tag of colours 'best'. Available: none\n")


def test_a_tag_is_taken_from_the_version_that_has_it(several: AdapterStore, run: Run) -> None:
    several.tag("colours@2", "late")
    for wrong in ("colours@2", "colours@late"):
        said = run("adapters", "tag", wrong, "best", "--remove")
        assert (said.code, said.err) == (2, "Error: 'best' is on colours@1, not on colours@2\n")
    assert several.tags("colours")["best"] == 1
    assert run("adapters", "tag", "colours@1", "best", "--remove").code == 0
    assert run("adapters", "tag", "colours", "late", "--remove").code == 0
    assert run("adapters", "tag", "colours").out == "no tags on colours\n"


@pytest.mark.parametrize("arguments", [("note", "both"), ("list", "--name"), ("show",), ("list",)])
def test_an_argument_that_is_no_text(arguments: tuple[str, ...], several: AdapterStore, run: Run) -> None:
    said = run("adapters", *arguments, "--name=\udcff" if arguments == ("list",) else "\udcff")
    assert (said.code, "is not UTF-8 text" in said.err, "bug" in said.err) == (2, True, False)


@pytest.mark.parametrize("tag", ["3", "con", "nul.a", "Best", "a b", "-x", "a/b", "..", "x" * 65, "é"])
def test_what_cannot_be_a_tag(tag: str, several: AdapterStore, run: Run) -> None:
    said = run("adapters", "tag", "colours", "--", tag)
    assert said.code == 2
    assert "is not a tag" in said.err


def test_removing_is_undone(several: AdapterStore, run: Run) -> None:
    before = several.get("colours@2")
    assert "restore colours@2" in run("adapters", "rm", "colours", "--yes").out
    said = run("adapters", "show", "colours@2")
    assert (said.code, "was removed: 'graftlm adapters restore colours@2'" in said.err) == (2, True)
    assert several.get("colours").version == 1
    assert publish(several, name="colours", run="run-9", seed=9).version == 3  # its number is not given again
    run("store", "gc")
    assert run("adapters", "restore", "colours@2").code == 0
    assert several.get("colours@2") == before
    assert content_digest(several.path("colours@2")) == before.digest


def test_what_is_tagged_is_not_removed(several: AdapterStore, run: Run) -> None:
    said = run("adapters", "rm", "colours@1", "--yes")
    assert (said.code, "is tagged 'best'" in said.err) == (2, True)
    assert several.has("colours@1")


def test_removing_all_removes_all_or_nothing(several: AdapterStore, run: Run) -> None:
    several.tag("colours@2", "late")
    several.untag("colours", "best")
    said = run("adapters", "rm", "shapes", "colours", "--all", "--yes")
    assert (said.code, "colours@2 is tagged 'late', and nothing was removed" in said.err) == (2, True)
    assert several.names() == ["both", "colours", "shapes"]
    assert several.versions("colours").kept == [1, 2]


def test_what_is_damaged_can_be_removed(several: AdapterStore, run: Run) -> None:
    several.layout.record("shapes", 1).write_bytes(b"{}\n")
    assert "give it up: graftlm adapters rm shapes@1" in run("store", "verify").out
    assert run("adapters", "rm", "shapes@1", "--yes").out == "removed shapes@1 (its record cannot be read)\n"
    assert run("store", "verify").code == 0


@pytest.mark.parametrize(
    ("answer", "said"), [("n\n", "nothing was removed"), ("", "nothing was removed, as nobody answered: give --yes")]
)
def test_removing_asks_first(
    answer: str, said: str, several: AdapterStore, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    found = run("adapters", "rm", "shapes")
    assert (found.code, found.err.endswith(f"Error: {said}\n")) == (2, True)
    assert several.has("shapes")


def test_deleting_at_once_asks_first(several: AdapterStore, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("adapters", "rm", "shapes", "--yes")
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    found = run("store", "gc", "--grace", "0")
    assert (found.code, found.err.endswith("Error: nothing was deleted\n")) == (2, True)
    assert run("adapters", "restore", "shapes").code == 0
    run("adapters", "rm", "shapes", "--yes")
    assert "files of 1 adapter thrown into the trash" in run("store", "gc").out


def test_deleted_for_good(several: AdapterStore, run: Run) -> None:
    run("adapters", "rm", "shapes", "--yes")
    said = run("store", "gc", "--grace", "0", "--yes")
    assert "files of 1 adapter deleted out of the trash" in said.out
    gone = run("adapters", "restore", "shapes@1")
    assert (gone.code, "were deleted: it cannot be brought back" in gone.err) == (2, True)
    assert not several.has("shapes@1")
    assert run("store", "verify").code == 0


# The store as a whole


def test_verify_names_what_is_damaged(several: AdapterStore, run: Run) -> None:
    sound = run("store", "verify")
    assert (sound.code, sound.out.endswith("sound\n")) == (0, True)
    path = several.path("shapes") / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    said = run("store", "verify")
    assert said.code == 1
    assert f"damaged: {path} is not as it was written" in said.out
    assert "shapes@1: import or pull a copy of it to mend it\n" in said.out
    (fault,) = json.loads(run("store", "verify", "--json").out)["faults"]
    assert (fault["path"], fault["lost"], fault["of"]) == (str(path), True, ["shapes@1"])
    kept(several, "copy", seed=2)
    assert run("store", "verify").code == 0


def test_info_counts(several: AdapterStore, run: Run) -> None:
    run("adapters", "rm", "both", "--yes")
    found = json.loads(run("store", "info", "--json").out)
    assert [found[key] for key in ("names", "versions", "removed", "tags", "objects")] == [2, 3, 1, 1, 4]
    assert found["bases"] == {"tiny-mistral": 2, "tiny-qwen": 1}
    assert "2 names, 3 versions, 1 removed" in run("store", "info").out


@pytest.mark.parametrize("command", [("store", "info"), ("store", "verify"), ("store", "gc"), ("adapters", "list")])
def test_no_store_yet(command: tuple[str, ...], home: Path, run: Run) -> None:
    assert run(*command).code == 0
    assert not (home / "store").exists()


@pytest.mark.parametrize("command", [("store", "info"), ("store", "migrate"), ("store", "gc")])
def test_no_store_is_said(command: tuple[str, ...], home: Path, run: Run) -> None:
    assert run(*command).out == "there is no store yet\n"
    assert not (home / "store").exists()


@pytest.mark.parametrize(
    "command",
    [("store", "info"), ("store", "verify"), ("store", "gc"), ("store", "migrate"), ("adapters", "list")],
)
def test_a_file_where_the_store_should_be(command: tuple[str, ...], home: Path, run: Run) -> None:
    (home / "store").write_bytes(b"")
    said = run(*command)
    assert (said.code, "a file stands where a folder should" in said.err) == (2, True)
