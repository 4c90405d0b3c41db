"""Answers to many prompts by everybody on one base, and what they took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.serving import Ask, Sampling, ServeJob

from .session import Session
from .worker_process import OnEvent

CHUNK = 512
"""Answers of one request, at least as many as one prompt has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """``row`` counts the prompts from 0; ``who`` is an adapter, or empty for the bare base. Lengths are in tokens.
    ``ended`` by itself, not by running out of tokens; it ``fits``: the model has positions for the prompt.
    """

    row: int
    who: str
    text: str
    tokens: int
    prompt_tokens: int
    ended: bool
    fits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds. ``load`` is the base's, ``adapters`` those of all adapters together; ``swaps`` has one entry each.
    ``mixed`` are those who shared batches with others.
    """

    load: float
    adapters: float
    swaps: tuple[float, ...]
    answering: float
    tokens: int
    mixed: tuple[str, ...]

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.answering if self.answering else 0.0


def answer_all(
    job: ServeJob,
    prompts: Sequence[Conversation],
    who: Sequence[str],
    max_new_tokens: int,
    sampling: Sampling,
    on_event: OnEvent,
) -> tuple[list[Answered], Timings]:
    """By prompt, and for each of them in the order of ``who``."""
    asks = [(row, Ask(who=each, conversation=prompt)) for row, prompt in enumerate(prompts) for each in who]
    found: list[Answered] = []
    swaps: list[float] = []
    answering, tokens, mixed = 0.0, 0, set[str]()
    step = max(1, CHUNK // len(who)) * len(who)

    on_event({"event": "progress", "stage": "loading", "done": 0, "total": 1})
    with Session(job, on_event) as session:
        for number, begin in enumerate(range(0, len(asks), step)):
            chunk = asks[begin : begin + step]
            chosen = replace(sampling, seed=sampling.seed + number)
            for event in session.answer([ask for _, ask in chunk], max_new_tokens, chosen):
                if event["event"] == "swapped":
                    swaps.append(event["seconds"])
                elif event["event"] == "answered":
                    answering, tokens = answering + event["seconds"], tokens + event["tokens"]
                    mixed |= set(event["mixed"])
                elif event["event"] == "answer":
                    row, ask = chunk[event["index"]]
                    found.append(
                        Answered(
                            row=row,
                            who=ask.who,
                            text=event["text"],
                            tokens=event["tokens"],
                            prompt_tokens=event["prompt_tokens"],
                            ended=event["ended"],
                            fits=event["fits"],
                        )
                    )
                    on_event({"event": "progress", "stage": "answering", "done": len(found), "total": len(asks)})
        load, guests = session.load_seconds, session.guest_seconds
    place = {each: i for i, each in enumerate(who)}
    found.sort(key=lambda each: (each.row, place[each.who]))
    return found, Timings(
        load=load, adapters=guests, swaps=tuple(swaps), answering=answering, tokens=tokens, mixed=tuple(sorted(mixed))
    )
