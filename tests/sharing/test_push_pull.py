"""``adapters push`` and ``pull`` through fsspec: whole or not at all, and never changed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fsspec.implementations.memory import MemoryFileSystem
from shared_adapters import CONFIG
from whole_records import kept

from graftlm.cli.adapters.pull import pull as pull_command
from graftlm.cli.adapters.push import push as push_command
from graftlm.contracts.errors import StoreError, UsageError
from graftlm.contracts.record import AdapterRecord
from graftlm.sharing.export import export
from graftlm.sharing.pull import pull
from graftlm.sharing.push import push
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry

PLACE = "memory://adapters"


@pytest.fixture(autouse=True)
def _empty_memory() -> Iterator[None]:
    yield
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@pytest.fixture
def elsewhere(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From here on graftlm has another, empty home."""

    def move() -> None:
        shutil.rmtree(tmp_path / "elsewhere", ignore_errors=True)
        monkeypatch.setenv("GRAFTLM_HOME", str(tmp_path / "elsewhere"))

    return move


def pushed(name: str = "skill", to: str = PLACE, **more: Any) -> Any:
    return push(name, to, registry(), **more)


def pulled(source: str = f"{PLACE}/skill", **more: Any) -> AdapterRecord:
    return pull(source, registry(), lambda event: None, **more).record


def held() -> dict[str, bytes]:
    return {path: file.getvalue() for path, file in MemoryFileSystem.store.items()}


def test_what_was_pushed_comes_back_whole(elsewhere: Callable[[], None]) -> None:
    record = kept(parents=("older@2", "gone@1"), thinking=True)
    files = {path.name: path.read_bytes() for path in open_store().path("skill").iterdir()}
    done = pushed()
    assert (done.adapter, done.to, done.changed) == ("skill@1", f"{PLACE}/skill/1", True)
    assert sorted(held()) == [
        f"/adapters/skill/1/{name}"
        for name in ("README.md", "adapter_config.json", "adapter_model.safetensors", "graftlm.json", "manifest.json")
    ]
    elsewhere()
    assert pulled() == record
    assert pulled(f"{PLACE}/skill/1") == record  # the same again is the version that is there
    assert open_store().names() == ["skill"]
    theirs = {path.name: path.read_bytes() for path in open_store().path("skill").iterdir()}
    assert theirs["adapter_model.safetensors"] == files["adapter_model.safetensors"]
    assert json.loads(theirs["adapter_config.json"]) == CONFIG
    assert list((open_store().root / "staging").iterdir()) == []
    other = pulled(name="other")
    assert other == replace(record, name="other")
    assert pushed("other").changed
    assert pulled(f"{PLACE}/other") == other


def test_the_same_again_changes_nothing_and_nothing_is_ever_overwritten(home: Path) -> None:
    kept()
    assert pushed().changed
    before = held()
    again = pushed()
    assert (again.changed, again.to) == (False, f"{PLACE}/skill/1")
    open_store().note("skill", "another card")
    assert not pushed().changed
    assert held() == before
    kept(seed=1)
    assert pushed().to == f"{PLACE}/skill/2"
    assert {path: held()[path] for path in before} == before
    assert pulled() == open_store().get("skill@2")
    assert pulled(f"{PLACE}/skill/1") == open_store().get("skill@1")


def test_another_adapter_of_that_name_and_version_is_refused(elsewhere: Callable[[], None]) -> None:
    kept()
    pushed()
    before = held()
    elsewhere()
    mine = kept(seed=5)
    with pytest.raises(StoreError, match=r"memory://adapters/skill/1 is another adapter .* --name"):
        pushed()
    assert held() == before
    assert pushed(as_name="mine").to == f"{PLACE}/mine/1"
    assert pulled(f"{PLACE}/mine") == replace(mine, name="mine")
    with pytest.raises(StoreError, match="is not a name"):
        pushed(as_name="../mine")


def test_every_damage_of_what_was_pushed_is_found(elsewhere: Callable[[], None]) -> None:
    kept()
    pushed()
    whole = held()
    elsewhere()
    found = 0
    for path, content in whole.items():
        if path.endswith("README.md"):
            continue  # nobody reads it but people
        for at in range(0, len(content), max(1, len(content) // 40)):
            MemoryFileSystem().pipe_file(path, content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            with pytest.raises(StoreError):
                pulled()
            found += 1
        for changed in (content[:-1], content + b"\n"):
            MemoryFileSystem().pipe_file(path, changed)
            if path.endswith("manifest.json"):
                continue  # JSON ends in as many new lines as it likes
            with pytest.raises(StoreError, match=r"damaged|longer than"):
                pulled()
            found += 1
        MemoryFileSystem().pipe_file(path, content)
    assert open_store().names() == []
    assert list((open_store().root / "staging").iterdir()) == []
    print(f"{found} of {found} damages found")


def test_a_folder_of_this_machine_is_a_place_too(
    elsewhere: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = kept()
    assert pushed(to=str(tmp_path / "share")).to == str(tmp_path / "share" / "skill" / "1")
    assert pushed(to=f"file://{tmp_path}/share/").to == f"file://{tmp_path}/share/skill/1"
    manifest = json.loads((tmp_path / "share" / "skill" / "1" / "manifest.json").read_bytes())
    for name, entry in manifest["files"].items():
        content = (tmp_path / "share" / "skill" / "1" / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["size"], entry["sha256"])
    assert not (tmp_path / "share" / "skill" / "1" / "unfinished").exists()
    elsewhere()
    monkeypatch.chdir(tmp_path)
    assert pulled("share/skill") == record
    assert pulled(str(tmp_path / "share" / "skill" / "1" / "")) == record


def test_an_exported_folder_can_be_pulled(elsewhere: Callable[[], None], tmp_path: Path) -> None:
    record = kept()
    export("skill", tmp_path / "out", registry())
    elsewhere()
    assert pulled(str(tmp_path / "out")) == record


def test_a_configuration_that_had_to_be_cleaned_is_another_content(
    elsewhere: Callable[[], None], tmp_path: Path
) -> None:
    """Its digest is that of what is kept here; all else of the record stays."""
    record = kept(config={**CONFIG, "inference_mode": False})
    pushed()
    elsewhere()
    found = pulled()
    assert found.digest != record.digest
    assert replace(found, digest=record.digest) == record
    assert pulled() == found
    files = open_store().path("skill")
    assert json.loads((files / "adapter_config.json").read_bytes())["inference_mode"] is True


def test_what_is_not_there_is_said(home: Path, tmp_path: Path) -> None:
    kept()
    kept("other", seed=1)
    pushed()
    pushed("other")
    (tmp_path / "empty").mkdir()
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "x.txt").write_text("x", encoding="utf-8")
    for source, words in (
        (PLACE, r"holds other, skill: name the one to pull, as in memory://adapters/other"),
        (f"{PLACE}/nobody", "there is nothing at"),
        (f"{PLACE}/skill/2", "there is nothing at"),
        (str(tmp_path / "empty"), "there is nothing at"),
        (str(tmp_path / "strange"), "holds no adapter"),
        (str(tmp_path / "strange" / "x.txt"), "holds no adapter|there is nothing at"),
    ):
        with pytest.raises(StoreError, match=words):
            pulled(source)
    for wrong, words in (
        ("nope://x", "names no place"),
        ("s3://bucket/x", "pip install s3fs"),
        ("hf://owner/name", "hf:OWNER/NAME"),
    ):
        for act in (lambda to: pulled(to), lambda to: pushed(to=to)):
            with pytest.raises(UsageError, match=words):
                act(wrong)
    with pytest.raises(UsageError, match="--private goes with hf:"):
        pushed(private=True)
    with pytest.raises(
        StoreError, match=r"x\.txt/skill/1 cannot be made: a part of that path is a file, so give a folder$"
    ):
        pushed(to=str(tmp_path / "strange" / "x.txt"))


def test_the_commands(elsewhere: Callable[[], None]) -> None:
    record = kept()
    done = CliRunner().invoke(push_command, ["skill", PLACE])
    assert done.exit_code == 0, done.output
    assert f"pushed skill@1 to {PLACE}/skill/1" in done.output
    told = json.loads(CliRunner().invoke(push_command, ["skill", PLACE, "--json"]).stdout)
    assert told == {
        "adapter": "skill@1",
        "to": f"{PLACE}/skill/1",
        "digest": record.digest,
        "changed": False,
        "local": "",
    }
    elsewhere()
    done = CliRunner().invoke(pull_command, [f"{PLACE}/skill", "--name", "mine"])
    assert done.exit_code == 0, done.output
    assert "kept as mine@1, for tiny-mistral" in done.output
    told = json.loads(CliRunner().invoke(pull_command, [f"{PLACE}/skill", "--json"]).stdout)
    assert (told["name"], told["digest"]) == ("skill", record.digest)
