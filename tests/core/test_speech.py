"""Requests to a worker that stays, and answers in pieces."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from test_serving import asks, request

from graftlm.contracts.errors import GraftlmError, Interrupted
from graftlm.contracts.serial import to_json
from graftlm.contracts.serving import Request
from graftlm.encoding.tokenizing import SpanTokenizer
from graftlm.worker.events import Events
from graftlm.worker.requests import Requests
from graftlm.worker.speech import Speech
from graftlm_registry.models import catalogue


@pytest.mark.parametrize("name", ["tiny-mistral", "tiny-qwen", "tiny-glm", "tiny-falcon", "small-qwen"])
def test_a_character_of_several_tokens_comes_whole(name: str) -> None:
    folder = catalogue().entry(name).folder
    assert folder is not None
    tokenizer = SpanTokenizer.from_folder(folder)
    text = "  Grüße, 你好 — 👩‍🚀 and 🇩🇪!\n\n  def f(x):\n\treturn x  # ok  \n"
    pieces, whole = spoken(tokenizer, tokenizer.words(text))
    assert "".join(pieces) == whole == tokenizer.decode(tokenizer.words(text)).strip()
    assert len(pieces) > 5
    assert not any("\ufffd" in piece for piece in pieces)
    assert not pieces[-1].endswith((" ", "\n"))
    chance = random.Random(1)
    size = max(tokenizer.words("".join(chr(c) for c in range(32, 126)))) + 200
    for _ in range(60):
        pieces, whole = spoken(tokenizer, [chance.randrange(size) for _ in range(30)])
        assert "".join(pieces) == whole


def spoken(tokenizer: SpanTokenizer, ids: Sequence[int]) -> tuple[list[str], str]:
    speech = Speech(tokenizer)
    pieces = [piece for piece in map(speech.add, ids) if piece]
    rest = speech.rest()
    return [*pieces, *([rest] if rest else [])], speech.text


def test_requests_wait_their_turn_and_a_stop_does_not(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "events.jsonl", os.O_WRONLY | os.O_CREAT)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    theirs, mine = os.pipe()
    try:
        requests = Requests(theirs, Events(descriptor))
        lines = [to_json(request(number, asks([""], ["hi"]))) + b"\n" for number in (1, 2)]
        os.write(mine, lines[0] + lines[1][:9])
        waiting = iter(requests)
        assert next(waiting).answer.number == 1  # type: ignore[union-attr]
        assert not requests.stopped(1)
        os.write(mine, lines[1][9:] + to_json(Request(stop=1)) + b"\n")
        assert requests.stopped(1)
        assert not requests.stopped(2)
        assert next(waiting).answer.number == 2  # type: ignore[union-attr]
        os.close(mine)
        with pytest.raises(Interrupted, match="nobody listens any more"):
            requests.stopped(2)
        assert list(waiting) == []
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(GraftlmError, match="stopped by SIGTERM"):
            requests.stopped(2)
    finally:
        os.close(theirs)
        os.close(descriptor)
        for number, handler in handlers.items():
            signal.signal(number, handler)
