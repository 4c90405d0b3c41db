"""A session: a worker of its own that stays, what it is asked, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from small_models import configuration, small_model
from test_from_adapter import World, little_to_collect

from graftlm.contracts.conversation import Conversation, Message
from graftlm.contracts.errors import ModelError, RunError, StoreError, UsageError
from graftlm.contracts.serving import Ask
from graftlm.running.answer import answer
from graftlm.running.one_base import OneBase
from graftlm.running.session import Session
from graftlm.testing.in_process import start_in_process
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry

POSITIONS = 8192
"""An untrained base talks until they are used up, which takes long enough to be stopped."""


def talkative(world: World) -> World:
    path = world.model / "config.json"
    path.write_text(json.dumps(configuration(world.model) | {"max_position_embeddings": POSITIONS}), encoding="utf-8")
    return world


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, _probed: Path) -> Iterator[World]:
    world = talkative(World(tmp_path_factory.mktemp("session"), _probed))
    other = small_model("mistral", world.folder / "other", seed=5)
    with little_to_collect():
        world.train_all({
            "one": {}, "two": {"seed": 2, "rank": 4}, "half": {"dtype": "bf16"}, "full": {"method": "full"},
            "elsewhere": {"model": str(other)}, "quantized": {"quantization": "nf4"}, "roped": {"rope": "linear:2"},
        })  # fmt: skip
        yield world


@pytest.fixture
def world(built: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    built.copy(tmp_path / "graftlm", monkeypatch)
    return built


def base(*names: str, **more: Any) -> OneBase:
    return OneBase(names[0], names[1:], registry(), **more)


def ask(who: str, question: str = "Name the colour.") -> Ask:
    return Ask(who=who, conversation=Conversation((Message("user", question),)))


def said(events: Iterator[Mapping[str, Any]]) -> list[str]:
    return [event["text"] for event in events if event["event"] == "answer"]


def gone(pid: int, patience: float = 30.0) -> bool:
    """Whether a process has ended by itself (a zombie has)."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_the_base_is_loaded_once_for_all_that_is_asked(world: World) -> None:
    heard: list[Mapping[str, Any]] = []
    expected = {
        who: answer(name, ["Name the colour."], registry(), lambda e: None, 9, start=start_in_process)
        for who, name in (("one@1", "one"), ("two@1", "two"), ("", str(world.model)))
    }
    one = base("one")
    with Session(one.job, heard.append) as session:
        folder = session._folder
        assert said(session.answer([ask("one@1")], 9)) == expected["one@1"]
        with pytest.raises(RunError, match="two@1 is not loaded"):
            list(session.answer([ask("two@1")], 9))
        assert session.alive
        assert session.load(one.guest("two")) > 0
        for who in ("two@1", "", "one@1", ""):
            assert said(session.answer([ask(who)], 9)) == expected[who]
        together = said(session.answer([ask(who) for who in expected], 9))
        assert together == [text for texts in expected.values() for text in texts]
        assert session.positions == POSITIONS
        assert session.load_seconds > 0
        assert (folder / "job.json").is_file()
    assert [event["event"] for event in heard].count("load") == 1
    assert not folder.exists()
    assert session._process.returncode == 0


def test_a_quantized_base_stays_loaded_too(world: World) -> None:
    """Packages that only some jobs need are hidden from the others' workers."""
    with Session(base("quantized").job) as session:
        assert said(session.answer([ask("quantized@1")], 9)) == answer(
            "quantized", ["Name the colour."], registry(), lambda e: None, 9, start=start_in_process
        )


def test_an_answer_is_stopped_and_the_next_one_is_whole(world: World) -> None:
    job = base("one").job
    with Session(job) as session:
        pieces, last = 0, {}
        for event in session.answer([ask("")], POSITIONS, stream=True):
            pieces += event["event"] == "delta"
            if pieces == 3:
                session.stop()
            if event["event"] == "answer":
                last = dict(event)
        assert last["stopped"]
        assert 3 <= last["tokens"] < 400
        session.stop()  # nobody answers now: it says nothing about the next one
        (text,) = said(session.answer([ask("one@1")], 9))
        assert text == answer("one", ["Name the colour."], registry(), lambda e: None, 9, start=start_in_process)[0]


def test_a_worker_that_dies_is_told(world: World) -> None:
    with Session(base("one").job) as session:
        threading.Timer(0.3, session._process.kill).start()
        with pytest.raises(RunError, match=r"the worker died \(SIGKILL, perhaps out of memory\)"):
            list(session.answer([ask("")], POSITIONS))
        assert not session.alive
        with pytest.raises(RunError, match="the worker died"):
            list(session.answer([ask("one@1")], 9))


@pytest.mark.parametrize("busy", [True, False])
def test_a_worker_leaves_when_its_front_dies(world: World, tmp_path: Path, busy: bool) -> None:
    code = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from graftlm.contracts.conversation import Conversation, Message
from graftlm.contracts.serving import Ask
from graftlm.running.one_base import OneBase
from graftlm.running.session import Session
from graftlm_registry.plugins import registry
with Session(OneBase("one", [], registry()).job) as session:
    print(session._process.pid, flush=True)
    if {busy}:
        ask = Ask(who="", conversation=Conversation((Message("user", "hi"),)))
        for event in session.answer([ask], {positions}, stream=True):
            if event["event"] == "delta":
                break
    os.kill(os.getpid(), signal.SIGKILL)
"""
    front = subprocess.run(
        [sys.executable, "-c", code.format(tests=str(Path(__file__).parent), busy=busy, positions=POSITIONS)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert front.returncode == -signal.SIGKILL
    assert gone(int(front.stdout))


def test_a_worker_that_cannot_begin_says_why(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = base("one").job
    weights = world.model / "model.safetensors"
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-4096])
    try:
        with pytest.raises(ModelError, match="cannot be loaded from"), Session(job):
            pass
    finally:
        weights.write_bytes(kept)


@pytest.mark.parametrize(
    ("names", "more", "words"),
    [
        (
            ("one", "elsewhere"),
            {},
            "one@1 and elsewhere@1 are of mistral in fp32, but not of the same weights: ask one at",
        ),
        (("one", "half"), {}, "one@1 is of mistral in fp32, half@1 of mistral in bf16: ask one at a time"),
        (("quantized", "one"), {}, "quantized@1 is of mistral in fp32, nf4, one@1 of mistral in fp32: ask one"),
        (
            ("one", "roped"),
            {"verb": "chat with"},
            "one@1 is of mistral in fp32, roped@1 of .* RoPE .*: chat with one at",
        ),
        (("one", "full"), {}, r"full@1 \(method full\) replaces the base's own weights: it can only be used alone"),
        (("full",), {"apart": True}, r"full@1 \(method full\) replaces the base's own weights"),
        (("tiny-qwen", "one"), {}, "one@1 is of mistral, and tiny-qwen is another model: name one of them"),
        (("one",), {"template": "alpaca"}, "one@1 answers in the template that it was trained with"),
    ],
)
def test_all_must_be_of_one_base(world: World, names: Sequence[str], more: Mapping[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        base(*names, **more)
    assert "\n" not in str(refused.value)


def test_an_adapter_that_comes_later_must_be_of_that_base_too(world: World) -> None:
    plain = base(str(world.model))
    assert (plain.who, plain.references, plain.job.guests) == ("", (), ())
    assert plain.guest("one").reference == "one@1"
    with pytest.raises(UsageError, match="mistral is loaded in fp32, half@1 is of mistral in bf16: ask one at a time"):
        plain.guest("half")
    with pytest.raises(UsageError, match="full@1"):
        plain.guest("full")
    with pytest.raises(UsageError, match="full@1"):
        base("full").guest("one")
    with pytest.raises(StoreError, match="unknown adapter 'nobody'"):
        plain.guest("nobody")
    with pytest.raises(ModelError, match="nobody is neither an adapter"):
        base("nobody")
    taken = [record.name for record in open_store().records(lambda e: None) if base("one").takes(record)]
    assert taken == ["one", "two"]
    through = base(str(world.model), "half")
    assert (through.who, through.references, through.job.who.load.dtype) == ("", ("half@1",), "bf16")


def test_a_session_leaves_no_process_and_no_folder(world: World) -> None:
    session = Session(base("one").job)

    def fail() -> None:
        with session:
            os.kill(session._process.pid, 0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert gone(session._process.pid)
    assert not session._folder.exists()
