"""Two pushes at the same moment, a push that fails, a disk that is full, and what is said of each."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from whole_records import kept

from graftlm.contracts.errors import GraftlmError, StoreError
from graftlm.contracts.record import AdapterRecord
from graftlm.sharing import place as places
from graftlm.sharing.place import Place
from graftlm.sharing.pull import pull
from graftlm.sharing.push import push, push_to_place
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry

PLACE = "memory://adapters"


@pytest.fixture(autouse=True)
def _empty_memory(home: Path) -> Iterator[None]:
    yield
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def pushed(to: str = PLACE, **more: Any) -> Any:
    return push("skill", to, registry(), **more)


def pulled(source: str = f"{PLACE}/skill", **more: Any) -> AdapterRecord:
    return pull(source, registry(), lambda event: None, **more).record


def written(folder: Path, seed: int) -> tuple[AdapterRecord, Path]:
    """An adapter called skill@1, as it is pushed."""
    from graftlm.sharing.portable import write_portable

    record = kept(f"n{seed}", seed=seed)
    (folder / str(seed)).mkdir(parents=True)
    record = write_portable(record, open_store(), folder / str(seed), registry())
    from dataclasses import replace

    from graftlm.contracts.serial import to_json

    record = replace(record, name="skill")
    (folder / str(seed) / "graftlm.json").write_bytes(to_json(record) + b"\n")
    return record, folder / str(seed)


@pytest.mark.parametrize("turn", range(4))
def test_of_two_at_once_one_is_refused_and_the_other_is_whole(tmp_path: Path, turn: int) -> None:
    """On files, from the moment before either has made its mark."""
    made = [written(tmp_path / "made", seed) for seed in (turn * 2, turn * 2 + 1)]
    barrier = threading.Barrier(2)
    ends: list[Any] = [None, None]

    waited: list[Place] = []

    class Waiting(Place):
        def create(self, relative: str, data: bytes) -> None:
            if relative.endswith("unfinished") and self not in waited:
                waited.append(self)
                barrier.wait(20)
            super().create(relative, data)

    def one(number: int) -> None:
        try:
            ends[number] = push_to_place(*made[number], Waiting(str(tmp_path / "share")), lambda count: None)
        except GraftlmError as error:
            ends[number] = str(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    told = [end for end in ends if isinstance(end, tuple)]
    refused = [end for end in ends if isinstance(end, str)]
    assert (len(told), len(refused)) == (1, 1)
    assert "another adapter with the same name and version" in refused[0]
    winner = made[ends.index(told[0])][0]
    assert pulled(str(tmp_path / "share" / "skill")).digest == winner.digest
    assert not (tmp_path / "share" / "skill" / "1" / "unfinished").exists()


def test_a_mark_that_is_another_s_by_now_ends_the_push_before_its_manifest() -> None:
    kept()
    seen = 0

    def on_bytes(count: int) -> None:
        nonlocal seen
        seen += count
        MemoryFileSystem().pipe_file("/adapters/skill/1/unfinished", b"f" * 64)

    with pytest.raises(StoreError, match=r"somebody else changed memory://adapters/skill/1 at the same moment"):
        pushed(on_bytes=on_bytes)
    assert seen
    assert "/adapters/skill/1/manifest.json" not in MemoryFileSystem.store


def test_a_mark_that_was_only_begun_is_made_anew() -> None:
    kept()
    MemoryFileSystem().makedirs("/adapters/skill/1")
    MemoryFileSystem().pipe_file("/adapters/skill/1/unfinished", b"")
    assert pushed().changed
    assert "/adapters/skill/1/unfinished" not in MemoryFileSystem.store


class Full(MemoryFileSystem):
    """Memory that takes no tensors."""

    protocol = "full"

    def _open(self, path: str, mode: str = "rb", **more: Any) -> Any:
        if "w" in mode and path.endswith(".safetensors"):
            raise OSError(28, "No space left on device")
        return super()._open(path, mode, **more)


fsspec.register_implementation("full", Full, clobber=True)


def test_a_push_that_fails_takes_back_what_it_wrote() -> None:
    kept()
    with pytest.raises(StoreError) as caught:
        pushed("full://there")
    assert (
        str(caught.value) == "full://there/skill/1/adapter_model.safetensors cannot be written: No space left on device"
    )
    assert [path for path in MemoryFileSystem.store if "there" in path] == []
    with pytest.raises(StoreError, match="there is nothing at"):
        pulled("full://there/skill/1")


def test_a_full_disk_here_is_not_the_place_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    kept()
    pushed()
    fetch = Place.fetch

    def to_a_full_disk(self: Place, relative: str, target: Path, *more: Any) -> str:
        return fetch(self, relative, FullFile(target), *more)

    monkeypatch.setattr(places.Place, "fetch", to_a_full_disk)
    with pytest.raises(StoreError, match=r"^/\S+/staging/\S+ cannot be written: No space left on device$"):
        pulled()


class FullFile(type(Path())):  # type: ignore[misc]
    """A path on a device that is always full."""

    def open(self, mode: str = "r", *more: Any, **named: Any) -> Any:
        return open("/dev/full", "wb")  # noqa: PTH123


def test_a_folder_whose_name_a_file_has(tmp_path: Path) -> None:
    kept()
    (tmp_path / "share" / "skill").mkdir(parents=True)
    (tmp_path / "share" / "skill" / "1").write_text("x", encoding="utf-8")
    with pytest.raises(StoreError, match=r"share/skill/1 cannot be made: a file has its name"):
        pushed(str(tmp_path / "share"))
    shutil.rmtree(tmp_path / "share")


def test_a_password_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place("memory://me:hush@server/there")
    assert place.url == "memory://server/there"
    assert place.said("a/1") == "memory://server/there/a/1"
    monkeypatch.setattr(place.system, "ls", refused)
    with pytest.raises(StoreError) as caught:
        place.names("a")
    assert "memory://server/there/a cannot be read: no way to ftp://server/x" in str(caught.value)
    with pytest.raises(GraftlmError) as wrong:
        Place("nope://me:hu@sh@server/x")
    assert "nope://server/x names no place" in str(wrong.value)
    for url in ("/a/b@c", "s3://bucket/a@2", "hf:me/x@main"):
        assert places.without_userinfo(url) == url


def refused(*_: Any, **__: Any) -> Any:
    raise ValueError("no way to ftp://me:hush@server/x")
