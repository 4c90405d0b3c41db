"""A push that is interrupted is no adapter to anybody, and is made whole by the next one."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from whole_records import kept

from graftlm.contracts.errors import StoreError
from graftlm.contracts.record import AdapterRecord
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


def test_an_unfinished_push_of_another_adapter_is_not_mixed_with_mine(elsewhere: Callable[[], None]) -> None:
    theirs = kept()
    pushed()
    MemoryFileSystem().rm_file("/adapters/skill/1/manifest.json")
    MemoryFileSystem().pipe_file("/adapters/skill/1/unfinished", sha256(held()["/adapters/skill/1/graftlm.json"]))
    before = held()
    elsewhere()
    kept(seed=5)
    with pytest.raises(StoreError, match="holds an unfinished push of another adapter"):
        pushed()
    assert held() == before
    open_store().remove("skill@1")
    elsewhere()
    assert kept() == theirs
    assert pushed().changed
    assert pulled() == theirs


@pytest.mark.parametrize("lost", [None, b"", b"short"])
@pytest.mark.parametrize("name", ["README.md", "adapter_model.safetensors", "graftlm.json"])
def test_files_that_were_lost_after_the_manifest_are_pushed_again(home: Path, name: str, lost: bytes | None) -> None:
    record = kept()
    pushed()
    open_store().note("skill", "the card is another one by now")
    memory = MemoryFileSystem()
    memory.rm_file(f"/adapters/skill/1/{name}")
    if lost is not None:
        memory.pipe_file(f"/adapters/skill/1/{name}", lost)
    assert pushed().changed
    assert not pushed().changed
    assert pulled(name="again") == replace(record, name="again")
    assert not memory.exists("/adapters/skill/1/unfinished")


def sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


class Failing(MemoryFileSystem):
    """Memory that fails at the k-th call, or ends in the middle of the file that it writes."""

    protocol = "failing"
    calls, fails_at = 0, 0

    def _count(self) -> None:
        Failing.calls += 1
        if Failing.calls == Failing.fails_at:
            raise OSError("the network went away")

    def _open(self, path: str, mode: str = "rb", **more: Any) -> Any:
        self._count()
        return super()._open(path, mode, **more)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **more: Any) -> None:
        try:
            self._count()
        except OSError:
            super().pipe_file(path, value[: len(value) // 2])
            raise
        super().pipe_file(path, value, mode, **more)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        self._count()
        super().makedirs(path, exist_ok)

    def rm_file(self, path: str) -> None:
        self._count()
        super().rm_file(path)

    def ls(self, path: str, detail: bool = True, **more: Any) -> Any:
        self._count()
        return super().ls(path, detail, **more)


fsspec.register_implementation("failing", Failing, clobber=True)


def test_a_push_that_is_interrupted_at_any_call_shows_nothing_and_can_be_repeated(
    elsewhere: Callable[[], None],
) -> None:
    record = kept()
    Failing.calls, Failing.fails_at = 0, 0
    pushed(to="failing://there")
    calls = Failing.calls
    assert calls > 10
    visible = 0
    for at in range(1, calls + 1):
        _empty()
        Failing.calls, Failing.fails_at = 0, at
        with pytest.raises(StoreError, match="the network went away"):
            pushed(to="failing://there")
        Failing.fails_at = 0
        for source in ("failing://there/skill", "failing://there/skill/1", "failing://there"):
            try:
                assert pulled(source, name="seen") == replace(
                    record, name="seen"
                )  # the manifest was written: it is whole
                visible += 1
            except StoreError:
                pass
        assert pushed(to="failing://there").to == "failing://there/skill/1"
        assert pulled("failing://there/skill", name="after") == replace(record, name="after")
    assert visible <= 2 * 3  # between the manifest and the last call
    print(f"{calls} calls of a push failed, one at a time: {visible} times it was whole, never half")


def _empty() -> None:
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def test_a_half_written_manifest_is_no_adapter(home: Path) -> None:
    kept()
    pushed()
    whole = held()["/adapters/skill/1/manifest.json"]
    for cut in (b"", whole[:1], whole[: len(whole) // 2], whole[:-2]):
        MemoryFileSystem().pipe_file("/adapters/skill/1/manifest.json", cut)
        for source in (f"{PLACE}/skill", f"{PLACE}/skill/1"):
            with pytest.raises(StoreError, match="push was interrupted, so push it again"):
                pulled(source)
        assert pushed().changed
        assert held()["/adapters/skill/1/manifest.json"] == whole
