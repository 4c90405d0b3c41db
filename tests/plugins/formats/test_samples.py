"""The sample files of all formats say the same, and each format says what another has read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from graftlm.api import Conversation, DataError, DataFormat, Message
from graftlm_registry.plugins import registry

SAMPLES = Path(__file__).parents[2] / "data" / "formats"
OF_TURNS = ("alpaca", "sharegpt", "openai", "chatglm3", "human-assistant")


def format_of(name: str) -> DataFormat:
    return registry().get(DataFormat, name)


def conversations(name: str) -> list[Conversation]:
    """The sample of a format (or of an alias), without the ids of calls, which not every format has."""
    lines = (SAMPLES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    parsed = [format_of(name).parse(json.loads(line)) for line in lines]
    return [replace(c, messages=tuple(map(_anonymous, c.messages))) for c in parsed]


def _anonymous(message: Message) -> Message:
    calls = tuple(replace(call, id="") for call in message.tool_calls)
    return replace(message, tool_calls=calls, call_id="", name="")


def blocks(name: str) -> Iterator[str]:
    yield from (SAMPLES / name).read_text(encoding="utf-8").strip().split("\n\n")


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.jsonl")), ids=lambda path: path.stem)
def test_one_format_recognises_a_sample(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        found = [f.name for f in registry().all(DataFormat) if f.recognises(json.loads(line))]
        assert found == [format_of(path.stem).name]


@pytest.mark.parametrize("name", [*OF_TURNS, "qwen", "chatglm3"])
def test_the_samples_say_the_same(name: str) -> None:
    found, wanted = conversations(name), conversations("openai")
    assert len(found) >= 16
    assert found == wanted[: len(found)]


def test_the_pairs_are_the_single_rounds() -> None:
    assert conversations("pairs") == conversations("openai")[:14]


def test_texts_are_documents() -> None:
    documents = [Conversation((Message("document", text),)) for text in blocks("text.txt")]
    assert conversations("text") == documents


def test_dialogues_of_the_text_file() -> None:
    """It holds no system turns, for a dialogue in a text file begins with its first question."""
    text = (SAMPLES / "human-assistant.txt").read_text(encoding="utf-8")
    messages = format_of("human-assistant").parse({"text": text}).messages
    wanted = [m for c in conversations("human-assistant") for m in c.messages if m.role != "system"]
    assert list(messages) == wanted


@pytest.mark.parametrize(("source", "target"), product(["openai", "sharegpt", "chatglm3"], OF_TURNS))
def test_a_sample_is_converted_without_a_loss(source: str, target: str) -> None:
    write = format_of(target).write
    assert write is not None
    for conversation in conversations(source):
        if conversation.uses_tools and target in ("alpaca", "human-assistant"):
            with pytest.raises(DataError, match="has no tools"):
                write(conversation)
        else:
            again = format_of(target).parse(json.loads(json.dumps(write(conversation))))
            assert tuple(map(_anonymous, again.messages)) == conversation.messages
            assert again.tools == conversation.tools


def test_pairs_have_earlier_rounds_as_history() -> None:
    write, meant = format_of("pairs").write, conversations("openai")[14]
    assert write is not None
    record = write(meant)
    assert len(record["history"]) == 1
    assert format_of("pairs").parse(record).messages == meant.messages
