"""``push`` to a hub gives nothing away that was to be private, and takes the place of nobody else's adapter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import HubServer, hub_at_hand
from whole_records import kept

from graftlm.contracts.errors import StoreError
from graftlm.sharing import hub as adapters_hub
from graftlm.sharing.hub import downloaded
from graftlm.sharing.push import push
from graftlm_registry.plugins import registry

TO = "hf:me/skill"


@pytest.fixture
def hub(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """With a token that may write."""
    with hub_at_hand(tmp_path / "hf") as server:
        server.uploads.tokens = {"writer": True}
        monkeypatch.setenv("HF_TOKEN", "writer")
        yield server


def pushed(name: str = "skill", to: str = TO, **more: Any) -> Any:
    return push(name, to, registry(), **more)


def test_private_is_not_published_in_a_public_repository(hub: HubServer) -> None:
    kept()
    commit = hub.add("me/skill", {".gitattributes": b""})
    for to in (TO, f"{TO}@trial"):
        with pytest.raises(StoreError, match=f"{to} is there already and is public.*nothing was pushed"):
            pushed(to=to, private=True)
    assert hub.repositories["me/skill"].references == {"main": commit}
    assert hub.uploads.objects == {}
    assert pushed(to="hf:me/secret", private=True).changed
    kept(seed=1)
    assert pushed(to="hf:me/secret", private=True).changed  # it is private, so that it may go on
    assert pushed().changed


def test_a_repository_holds_one_adapter_and_its_newest_version(hub: HubServer) -> None:
    kept("a")
    kept("a", seed=1)
    kept("b", seed=2)
    assert pushed("a@2").changed
    first = dict(hub.repositories["me/skill"].references)
    with pytest.raises(StoreError, match=r"holds a@2, which is newer than a@1: push it to a branch"):
        pushed("a@1")
    with pytest.raises(StoreError, match="holds the adapter 'a', which b would take the place of"):
        pushed("b")
    assert hub.repositories["me/skill"].references == first
    kept("a", seed=3)
    assert pushed("a@3").changed
    assert hub.uploads.messages == ["a@2, with graftlm 0.1.0", "a@3, with graftlm 0.1.0"]


def test_what_is_fetched_is_the_commit_whose_sizes_were_checked(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("you/adapter", {"adapter_config.json": b"{}", "adapter_model.safetensors": b"small"})
    check = adapters_hub._check_files

    def and_it_moves_on(*given: Any) -> None:
        check(*given)
        hub.add("you/adapter", {"adapter_config.json": b"{}", "adapter_model.safetensors": b"something else"})

    monkeypatch.setattr(adapters_hub, "_check_files", and_it_moves_on)
    into = tmp_path / "into"
    into.mkdir()
    downloaded("hf:you/adapter", into)
    assert (into / "adapter_model.safetensors").read_bytes() == b"small"
