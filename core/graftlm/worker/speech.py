"""Answers as they are made: tokens become pieces of text, and the making can be stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from transformers import StoppingCriteria

from graftlm.encoding.tokenizing import SpanTokenizer

BROKEN = "�"
"""What a tokenizer writes for bytes that are no whole character, or not yet."""


class Speech:
    """One answer in pieces that are the whole of it, put together: decoded at once, without white space at its ends.

    A character of several tokens comes when its last one has, and white space with what follows it.
    """

    def __init__(self, tokenizer: SpanTokenizer) -> None:
        self._decode, self._bytes = tokenizer.decode, byte_ids(tokenizer)
        self._ids: list[int] = []
        self._begin = self._end = 0
        """Between them stand tokens that were said, as many as the next ones need before them to be decoded."""
        self._held = ""
        self._said = 0

    def add(self, token: int) -> str:
        """What can be said now."""
        self._ids.append(token)
        if token in self._bytes:  # one of them that fits nowhere would make the whole run of them unreadable
            return ""
        before, now = self._decode(self._ids[self._begin : self._end]), self._decode(self._ids[self._begin :])
        if len(now) <= len(before) or now.endswith(BROKEN):
            return ""
        self._begin, self._end = self._end, len(self._ids)
        return self._say(now[len(before) :])

    def rest(self) -> str:
        """What was held back, when nothing more comes."""
        return self.text[self._said :]

    @property
    def text(self) -> str:
        return self._decode(self._ids).strip()

    @property
    def tokens(self) -> int:
        return len(self._ids)

    def _say(self, text: str) -> str:
        whole = self._held + text
        piece = whole.rstrip() if self._said else whole.strip()
        if piece:
            self._held = whole[len(whole.rstrip()) :]
            self._said += len(piece)
        else:
            self._held = whole if self._said else ""
        return piece


@lru_cache(maxsize=8)
def byte_ids(tokenizer: SpanTokenizer) -> frozenset[int]:
    """Tokens that stand for a byte each, in tokenizers that fall back to those."""
    names = [f"<0x{byte:02X}>" for byte in range(256)]
    return frozenset(tokenizer.control_id(name) for name in names if tokenizer.has(name))


class Listener(StoppingCriteria):  # type: ignore[misc]
    """Hears each token of a batch. ``heard(row, piece)`` gets what can be said; ``stopped()`` ends all rows."""

    def __init__(
        self,
        tokenizer: SpanTokenizer,
        rows: int,
        stops: Sequence[int],
        heard: Callable[[int, str], None],
        stopped: Callable[[], bool],
    ) -> None:
        self.began = time.monotonic()
        self.first: list[float] = [0.0] * rows
        self.last: list[float] = [0.0] * rows
        """Seconds from the beginning to each row's first and last token."""
        self.cut = False
        self._speeches = [Speech(tokenizer) for _ in range(rows)]
        self._open = set(range(rows))
        self._stops, self._heard, self._stopped = frozenset(stops), heard, stopped

    def __call__(self, input_ids: Any, scores: Any, **more: Any) -> Any:
        tokens = input_ids[:, -1].tolist()
        now = time.monotonic() - self.began
        for row in sorted(self._open):
            self.first[row] = self.first[row] or now
            self.last[row] = now
            if tokens[row] in self._stops:
                self._open.discard(row)
            elif piece := self._speeches[row].add(tokens[row]):
                self._heard(row, piece)
        self.cut = bool(self._open) and self._stopped()
        return torch.full((len(tokens),), self.cut, dtype=torch.bool, device=input_ids.device)

    def finish(self) -> None:
        """Say what was held back."""
        for row, speech in enumerate(self._speeches):
            if piece := speech.rest():
                self._heard(row, piece)
