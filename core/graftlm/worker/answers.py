"""Answers to requests: who can share a batch does, and everything is told as it comes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graftlm.contracts.serving import AnswerRequest, Ask

from .events import Events
from .generation import batches, one_batch, positions
from .live_adapters import LiveAdapters
from .requests import Requests
from .speech import Listener
from .words import Voice, Voices

ROOM = 4
"""What a model has positions for is at most this many times what a long conversation leaves for the answer."""


@dataclass(frozen=True, slots=True)
class _Prompt:
    """``index`` is the place in the request; ``dropped`` turns were left out."""

    index: int
    who: str
    voice: Voice
    ids: list[int]
    dropped: int


class Answers:
    """Carries out one request after the other."""

    def __init__(self, live: LiveAdapters, voices: Voices, device: str, events: Events, requests: Requests) -> None:
        self._live, self._voices, self._device, self._events = live, voices, device, events
        self._requests = requests

    def give(self, request: AnswerRequest) -> None:
        """Tell each answer, and at the end what all of them took. After a stop, those that are left have none."""
        began = time.monotonic()
        room = positions(self._live.model)
        prompts = [self._prompt(i, ask, request, room) for i, ask in enumerate(request.asks)]
        for prompt in prompts:
            if len(prompt.ids) >= room:
                self._tell(request, prompt, [], fits=False)
        fitting = [prompt for prompt in prompts if len(prompt.ids) < room]
        tokens, mixed, cut = 0, set[str](), False
        for group in self._groups(fitting):
            for chosen in batches({p.index: len(p.ids) for p in group}, request.max_new_tokens):
                if cut := cut or self._requests.stopped(request.number):
                    break
                batch = [prompts[i] for i in chosen]
                if len(whose := {prompt.who for prompt in batch}) > 1:
                    mixed |= whose
                said, cut = self._batch(request, batch)
                tokens += said
        seconds = time.monotonic() - began
        self._events.send(
            "answered", number=request.number, seconds=seconds, tokens=tokens, mixed=sorted(mixed), stopped=cut,
        )  # fmt: skip

    def _prompt(self, index: int, ask: Ask, request: AnswerRequest, room: int) -> _Prompt:
        voice, dropped = self._voices[ask.who], 0
        if request.fit:
            wanted = min(request.max_new_tokens, room // ROOM)
            ids, dropped = voice.fitted(ask.conversation, lambda length: length + wanted <= room)
        else:
            ids = voice.ids(ask.conversation)
        return _Prompt(index, ask.who, voice, ids, dropped)

    def _groups(self, prompts: Sequence[_Prompt]) -> Iterator[list[_Prompt]]:
        """Those that share batches: their adapters can, and they stop at the same tokens."""
        for company in self._live.company(tuple(dict.fromkeys(prompt.who for prompt in prompts))):
            by_stops: dict[tuple[int, ...], list[_Prompt]] = {}
            for prompt in prompts:
                if prompt.who in company:
                    by_stops.setdefault(prompt.voice.stops, []).append(prompt)
            yield from by_stops.values()

    def _batch(self, request: AnswerRequest, batch: Sequence[_Prompt]) -> tuple[int, bool]:
        """Tokens that were said, and whether it was stopped."""
        whose = [prompt.who for prompt in batch]
        more: Mapping[str, Any] = {}
        if len(set(whose)) > 1:
            more = self._live.rows(whose)
        elif (seconds := self._live.use(whose[0])) is not None:
            self._events.send("swapped", who=whose[0], seconds=seconds)

        def heard(row: int, piece: str) -> None:
            if request.stream:
                self._events.send("delta", number=request.number, index=batch[row].index, text=piece)

        voice = batch[0].voice
        listener = Listener(
            voice.tokenizer, len(batch), voice.stops, heard, lambda: self._requests.stopped(request.number)
        )
        made = one_batch(
            self._live.model, [prompt.ids for prompt in batch], voice.stops, request.max_new_tokens, self._device,
            request.sampling, stopping_criteria=[listener], **more,
        )  # fmt: skip
        listener.finish()
        for row, (prompt, answer) in enumerate(zip(batch, made, strict=True)):
            self._tell(
                request, prompt, answer.ids, ended=answer.ended, stopped=listener.cut and not answer.ended,
                first=listener.first[row], seconds=listener.last[row],
            )  # fmt: skip
        return sum(len(answer.ids) for answer in made), listener.cut

    def _tell(self, request: AnswerRequest, prompt: _Prompt, ids: list[int], **more: Any) -> None:
        text = prompt.voice.tokenizer.decode(ids).strip()
        told = {"ended": False, "stopped": False, "fits": True, "first": 0.0, "seconds": 0.0, **more}
        self._events.send(
            "answer", number=request.number, index=prompt.index, who=prompt.who, text=text,
            said=prompt.voice.said(text), tokens=len(ids), prompt_tokens=len(prompt.ids), dropped=prompt.dropped,
            **told,
        )  # fmt: skip
