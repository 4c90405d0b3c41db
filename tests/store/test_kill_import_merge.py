"""kill -9 in the front while it imports or merges: the store is as it was or has the adapter, a model is whole or not.

What a worker measures is given here, as it was measured once: it writes nothing into the store. The files that it would
write for a merge are written by the front in its place.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from after_a_cut import Cut
from children import run, traced, why_not, writing_calls_of
from kept_adapters import draft
from operations import Operation, faults, two_versions
from os_calls import at, die, nothing, watched
from store_counts import count

from graftlm.contracts.serial import to_builtins
from graftlm.running import merge as merging
from graftlm.sharing import bring_in
from graftlm.sharing.bring_in import bring
from graftlm.sharing.export import export
from graftlm_registry.plugins import registry

TRL = Path(__file__).parents[1] / "data" / "adapters" / "trl"
MODEL = {"config.json": b"{}", "model.safetensors": b"\0" * 5000}


def measured(job: str, folder: Path, on_event: Any, /, **_: Any) -> Mapping[str, Any]:
    """What a worker said once."""
    if job == "merge":
        import json

        out = Path(json.loads((folder / "job.json").read_bytes())["out"])
        for name, content in MODEL.items():
            (out / name).write_bytes(content)
        return {"difference": 0.0, "effect": 1.0, "texts": 4, "tokens": 20}
    record = draft("")
    return {"effective": to_builtins(record.effective), "proof": to_builtins(record.proof)}


@contextmanager
def at_home(root: Path) -> Iterator[None]:
    """A store is that of the home that it lies in."""
    before = os.environ.get("GRAFTLM_HOME", "")
    os.environ["GRAFTLM_HOME"] = str(root.parent)
    try:
        yield
    finally:
        os.environ["GRAFTLM_HOME"] = before


def importing(source: Path) -> Callable[[Path], object]:
    def act(root: Path) -> object:
        with at_home(root):
            return bring(str(source), registry(), lambda event: None, name="theirs", start=measured)

    return act


class Today(datetime):
    """The same moment in every try: records are compared."""

    @classmethod
    def now(cls, tz: Any = None) -> Today:
        return cls(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def folder(quick: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that knows this machine."""
    for known in ("probes", "cache"):
        (quick / known).symlink_to(home / known)
    monkeypatch.setattr(bring_in, "datetime", Today)
    return quick


@pytest.fixture
def imports(folder: Path) -> dict[str, Operation]:
    """Of another tool's folder, and of what graftlm exported, with its record."""
    elsewhere = folder / "elsewhere" / "store"
    importing(TRL)(elsewhere)
    with at_home(elsewhere):
        export("theirs", folder / "theirs.tar.gz", registry(), archive=True)
    plain = Operation("import a folder", lambda root: two_versions(root), importing(TRL))
    whole = Operation("import an archive", lambda root: two_versions(root), importing(folder / "theirs.tar.gz"))
    return {"folder": plain, "archive": whole}


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_killed_at_every_system_call_of_an_import(
    kind: str, imports: Mapping[str, Operation], folder: Path, figures: Callable[[str], None]
) -> None:
    if why := why_not():
        pytest.skip(why)
    cut = Cut(imports[kind], folder)
    made = writing_calls_of(partial(cut.operation.act, cut.copy()), folder / "log", reads=count(short=3, whole=50))
    kills = new = 0
    for offset, (name, numbers) in enumerate(made.items()):
        stride = count(short=7, whole=1)
        for number in numbers[offset % min(stride, len(numbers)) :: stride]:
            root = cut.copy()
            inject = f"inject={name}:signal=KILL:when={number}"
            ended = traced(partial(cut.operation.act, root), "-e", f"trace={name}", "-e", inject, "-o", "/dev/null")
            if ended.signal != signal.SIGKILL:
                assert not ended.said, ended.said  # reading what is cached now took fewer calls than at first
                continue
            kills += 1
            new += cut.check(root) == cut.after
    assert kills
    figures(f"{kills} kills, {kills - new} left the old state, {new} the new one, 0 corrupt")


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_killed_at_every_call_of_the_os_in_an_import(
    kind: str, imports: Mapping[str, Operation], folder: Path, figures: Callable[[str], None]
) -> None:
    cut = Cut(imports[kind], folder)
    kills = number = 0
    while True:
        number += count(short=3, whole=1)
        root = cut.copy()
        ended = run(partial(_killed, cut.operation.act, root, number))
        if not ended.signal:
            assert not ended.said, ended.said
            break
        kills += 1
        cut.check(root)
    assert kills
    figures(f"{kills} kills, 0 corrupt")


def _killed(act: Callable[[Path], object], root: Path, number: int) -> None:
    with watched(at(number, die), nothing):
        act(root)


def test_killed_at_every_call_of_the_os_in_a_merge(folder: Path, figures: Callable[[str], None]) -> None:
    """The model is there whole, or not at all, and the adapter as it was; the next merge succeeds."""
    root, out = folder / "store", folder / "merged"
    importing(TRL)(root)

    def act(root: Path) -> object:
        with at_home(root):
            return merging.merge("theirs", out, registry(), lambda event: None, start=measured)

    act(root)
    whole = {path.name: path.read_bytes() for path in out.iterdir()}
    assert whole.keys() > MODEL.keys()
    kills = number = made = 0
    while True:
        number += count(short=2, whole=1)
        shutil.rmtree(out, ignore_errors=True)
        ended = run(partial(_killed, act, root, number))
        if not ended.signal:
            assert not ended.said, ended.said
            break
        kills += 1
        if out.exists():
            made += 1
            assert {path.name: path.read_bytes() for path in out.iterdir()} == whole
        assert not faults(root)
    assert kills
    figures(f"{kills} kills, {made} left a whole model, the others none, 0 corrupt")
