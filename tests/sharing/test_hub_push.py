"""``adapters push`` and ``pull`` with a Hugging Face hub: one on this machine, spoken to by huggingface_hub itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hub_server import HubServer, hub_at_hand
from whole_records import kept

from graftlm.contracts.errors import StoreError, UsageError
from graftlm.contracts.record import AdapterRecord
from graftlm.sharing.hub import downloaded
from graftlm.sharing.pull import pull
from graftlm.sharing.push import push
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry

TO = "hf:me/skill"
FILES = {"README.md", "adapter_config.json", "adapter_model.safetensors", "graftlm.json"}


@pytest.fixture
def hub(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """With a token that may write."""
    with hub_at_hand(tmp_path / "hf") as server:
        server.uploads.tokens = {"writer": True, "reader": False}
        monkeypatch.setenv("HF_TOKEN", "writer")
        yield server


@pytest.fixture
def elsewhere(tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From here on graftlm has another, empty home, and an empty cache."""

    def move() -> None:
        shutil.rmtree(tmp_path / "elsewhere", ignore_errors=True)
        shutil.rmtree(tmp_path / "hf", ignore_errors=True)
        monkeypatch.setenv("GRAFTLM_HOME", str(tmp_path / "elsewhere"))

    return move


def pushed(to: str = TO, name: str = "skill", **more: Any) -> Any:
    return push(name, to, registry(), **more)


def pulled(source: str = TO, **more: Any) -> AdapterRecord:
    return pull(source, registry(), lambda event: None, **more).record


def files_of(hub: HubServer, name: str = "me/skill", revision: str = "main") -> dict[str, bytes]:
    repository = hub.repositories[name]
    return repository.commits[repository.references[revision]]


def test_a_repository_is_made_in_one_commit_and_comes_back_whole(hub: HubServer, elsewhere: Callable[[], None]) -> None:
    record = kept()
    done = pushed()
    assert (done.to, done.changed) == (TO, True)
    assert files_of(hub).keys() == FILES | {".gitattributes"}
    assert (
        files_of(hub)["adapter_model.safetensors"]
        == (open_store().path("skill") / "adapter_model.safetensors").read_bytes()
    )
    assert hub.uploads.messages == ["skill@1, with graftlm 0.1.0"]
    assert hub.uploads.private == set()
    elsewhere()
    assert pulled() == record
    assert set(hub.given()) == {"adapter_config.json", "adapter_model.safetensors", "graftlm.json"}
    assert pulled() == record
    assert pulled(name="mine") == replace(record, name="mine")


def test_the_same_again_is_no_commit_and_another_version_is_one_more(hub: HubServer) -> None:
    kept()
    pushed()
    assert not pushed().changed
    assert len(hub.uploads.messages) == 1
    first = hub.repositories["me/skill"].references["main"]
    kept(seed=1)
    assert pushed().changed
    assert hub.uploads.messages[1:] == ["skill@2, with graftlm 0.1.0"]
    assert pulled(name="new").digest == open_store().get("skill@2").digest
    assert pulled(f"{TO}@{first}", name="old").digest == open_store().get("skill@1").digest


def test_a_private_one_and_a_branch(hub: HubServer) -> None:
    record = kept()
    pushed("hf:me/secret", private=True)
    assert hub.uploads.private == {"me/secret"}
    assert pushed("hf:me/skill@trial").to == "hf:me/skill@trial"
    assert files_of(hub).keys() == {".gitattributes"}
    assert files_of(hub, revision="trial").keys() == FILES | {".gitattributes"}
    assert pulled("hf:me/skill@trial", name="trial") == replace(record, name="trial")
    assert not pushed("hf:me/skill@trial").changed


def test_nothing_of_others_is_changed(hub: HubServer, elsewhere: Callable[[], None]) -> None:
    kept()
    pushed()
    for name, files, words in (
        ("me/model", {"model.safetensors": b"x", "README.md": b"mine"}, r"holds something else \(model.safetensors\)"),
        ("me/other", {"adapter_config.json": b"{}", "adapter_model.safetensors": b"x"}, "that graftlm did not push"),
        ("me/odd", {"graftlm.json": b"[]"}, "that graftlm did not write"),
        ("me/deep", {"graftlm.json": b"[" * 100_000}, "that graftlm did not write"),
    ):
        commit = hub.add(name, files)
        with pytest.raises(StoreError, match=words):
            pushed(f"hf:{name}")
        assert hub.repositories[name].references["main"] == commit
    elsewhere()
    kept(seed=9)
    with pytest.raises(StoreError, match="is another adapter with the same name and version"):
        pushed()
    assert len(hub.uploads.messages) == 1


def test_two_at_the_same_moment(hub: HubServer) -> None:
    """The later one is told, and nothing of the other's is lost."""
    kept()
    hub.uploads.before_commit = lambda: hub.add("me/skill", {"README.md": b"theirs"})
    with pytest.raises(StoreError, match="somebody else changed hf:me/skill at the same moment"):
        pushed()
    assert files_of(hub) == {"README.md": b"theirs"}


def test_what_a_hub_refuses_is_one_sentence(hub: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept()
    hub.add("me/there", {"README.md": b"x", "adapter_config.json": b"{}"})
    hub.add("me/pickle", {"adapter_config.json": b"{}", "adapter_model.bin": b"x"})
    hub.add("me/gated", {"adapter_config.json": b"{}", "adapter_model.safetensors": b"x"}, gated=True)
    for source, words in (
        ("hf:me/nothing", "there is no me/nothing on the hub, or it is private"),
        ("hf:me/there@v9", "has no revision 'v9'"),
        ("hf:me/there", "has no adapter_model.safetensors"),
        ("hf:me/pickle", "never reads pickles"),
        ("hf:me/gated", "is gated: accept its terms"),
    ):
        with pytest.raises(StoreError, match=words) as caught:
            pulled(source)
        assert "\n" not in str(caught.value)
    for wrong in ("hf:me", "hf:me/a/b", "hf:", "hf:me/a b", "hf:../x"):
        with pytest.raises(UsageError, match="hf:OWNER/NAME"):
            pulled(wrong)
        with pytest.raises(UsageError, match="hf:OWNER/NAME"):
            pushed(wrong)
    for token, words in (
        ("reader", "may not write to hf:me/skill"),
        ("", "wants to know who"),
        ("no", "wants to know who"),
    ):
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(StoreError, match=words) as caught:
            pushed()
        assert "\n" not in str(caught.value)
        assert "me/skill" not in hub.repositories
    hub.hangs_up = True
    for act in (pushed, pulled):
        with pytest.raises(StoreError, match="cannot be reached"):
            act()
    hub.stop()
    with pytest.raises(StoreError, match="cannot be reached"):
        pulled()
    assert list((open_store().root / "staging").iterdir()) == []


def test_without_the_network(home: Path) -> None:
    """The tests' own environment forbids it."""
    kept()
    for act in (pushed, pulled):
        with pytest.raises(StoreError, match="HF_HUB_OFFLINE forbids the network"):
            act()


def test_downloaded_takes_an_adapter_s_files_alone(hub: HubServer, tmp_path: Path) -> None:
    files = {
        "adapter_config.json": b"{}", "adapter_model.safetensors": b"x", "tokenizer_config.json": b"{ }",
        "README.md": b"r", "training_args.bin": b"p", "code.py": b"c", "chat_template.jinja": b"t",
        "checkpoint-1/adapter_config.json": b"{}",
    }  # fmt: skip
    hub.add("you/adapter", files)
    (tmp_path / "into").mkdir()
    assert downloaded("hf:you/adapter", tmp_path / "into") == tmp_path / "into"
    taken = {"adapter_config.json", "adapter_model.safetensors", "tokenizer_config.json", "chat_template.jinja"}
    assert {path.name for path in (tmp_path / "into").iterdir()} == taken
    assert not any(path.is_symlink() for path in (tmp_path / "into").iterdir())
    assert set(hub.given()) == taken
