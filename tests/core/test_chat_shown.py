"""What ``graftlm chat`` shows: answers, what they took, columns; and nothing that a terminal obeys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from graftlm.cli.chat_state import Chat, timing
from graftlm.cli.side_by_side import places, side_by_side
from graftlm.contracts.serving import Sampling
from graftlm.running.one_base import OneBase
from graftlm_registry.plugins import registry


@pytest.fixture
def base(home: Path) -> OneBase:
    """A model; nothing is loaded here."""
    return OneBase("tiny-mistral", [], registry())


class Scripted:
    """A session whose events are known: what a model would have to be made to say."""

    alive, positions, load_seconds = True, 128, 1.0

    def __init__(self, *events: Mapping[str, Any]) -> None:
        self.events, self.asked = events, []

    def answer(self, asks: Any, *given: Any, **more: Any) -> Iterator[Mapping[str, Any]]:
        self.asked.append(asks)
        return iter(self.events)


def made(**more: Any) -> dict[str, Any]:
    return {
        "event": "answer", "index": 0, "who": "one@1", "text": "x", "said": "x", "tokens": 5, "prompt_tokens": 9,
        "dropped": 0, "ended": True, "stopped": False, "fits": True, "first": 0.01, "seconds": 0.5, **more,
    }  # fmt: skip


def talked(base: OneBase, *events: Mapping[str, Any]) -> tuple[Chat, Any]:
    session: Any = Scripted(*events)
    return Chat(base, session, 20, Sampling()), session


def test_no_answer_can_command_the_terminal(base: OneBase, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b]0;owned\x07red\x1b[31m\rover\n"
    state, _ = talked(base, {"event": "delta", "text": evil}, made(text=evil, said=evil))
    state.ask("hi")
    out, err = capsys.readouterr()
    assert "\x1b]" not in out
    assert "\r" not in out
    assert "\\x1b]0;owned\\x07red\\x1b[31m\\x0dover\n" in out
    assert "5 tokens, 10 tokens/s, first after 10 ms" in err
    assert "\x1b" not in side_by_side({"a": evil, "b": "x"}, 100).replace("\x1b[36m", "").replace("\x1b[0m", "")


def test_turns_that_were_left_out_are_forgotten_and_said(base: OneBase, capsys: pytest.CaptureFixture[str]) -> None:
    state, session = talked(base, made(dropped=2))
    for question in "abcd":
        session.events = (made(),)
        state.ask(question)
    session.events = (made(dropped=2),)
    state.ask("e")
    assert [turn.content for turn in state.turns] == ["c", "x", "d", "x", "e", "x"]
    said = capsys.readouterr().err
    assert (
        "longer than the 128 positions of tiny-mistral: the oldest 2 questions and their answers are left out" in said
    )
    session.events = (made(fits=False, tokens=0, prompt_tokens=4000),)
    with pytest.raises(Exception, match="that is 4,000 tokens, and tiny-mistral has 128 positions"):
        state.ask("f")
    session.events = ()
    assert not state.ask("stopped before it began")
    assert [turn.content for turn in state.turns][-2:] == ["e", "x"]


def test_what_an_answer_took() -> None:
    assert timing(made(), 0.0042, 20) == "5 tokens, 10 tokens/s, first after 10 ms, swap 4.2 ms"
    assert timing(made(stopped=True, ended=False), None, 20).endswith(", stopped")
    assert timing(made(ended=False), None, 5).endswith(", cut off by --max-new-tokens")
    assert timing(made(ended=False), None, 20).endswith("cut off: the model has no more positions")


def test_columns_are_as_wide_as_the_terminal() -> None:
    texts = {"one@1": "a " * 40, "two@1": "你好" * 20, "base": "x" * 70}
    shown = re.sub(r"\x1b\[\d+m", "", side_by_side(texts, 90)).split("\n")
    assert all(places(line) <= 90 for line in shown)
    assert {line.find("│") for line in shown if line.isascii()} <= {29, -1}
    assert "".join(line.split("│")[2].strip() for line in shown[1:4] if line.count("│") == 2) == "x" * 70
    narrow = re.sub(r"\x1b\[\d+m", "", side_by_side(texts, 40))
    assert "│" not in narrow
    assert narrow.split("\n")[0] == "one@1"
