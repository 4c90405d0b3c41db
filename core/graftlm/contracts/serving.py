"""What a front and a worker that stays say to each other: one base, and whoever answers on it."""

from __future__ import annotations

from dataclasses import dataclass

from .conversation import Conversation
from .job import Answerer, Kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """An adapter on the base, and the words that it was trained with. ``today`` is as an ``Answerer`` has it."""

    reference: str
    kept: Kept
    template: str
    thinking: bool = False
    today: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeJob:
    """``who`` is the base: loaded once, with nothing kept on it, and in what words it answers itself. ``apart``: it, or
    another adapter, will be asked too; without that, one that can only be used alone may be the only guest.
    """

    who: Answerer
    guests: tuple[Guest, ...] = ()
    apart: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a token is chosen. A ``temperature`` of 0 is greedy; ``top_p`` is the share of the likeliest tokens that are
    chosen among.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A conversation to go on with. ``who`` is a guest's reference, or empty for the bare base."""

    who: str
    conversation: Conversation


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRequest:
    """``number`` counts from 1, and what comes of it bears it. ``stream``: tell the pieces of each answer as they come.
    ``fit``: leave out the oldest turns of a conversation that the model has no positions for.
    """

    number: int
    asks: tuple[Ask, ...]
    max_new_tokens: int
    sampling: Sampling = Sampling()
    stream: bool = False
    fit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One of them: one more guest, something to answer, or the number of what need not be answered any more.

    The worker tells ``load`` (once), ``loaded`` (a guest), ``ready``; ``swapped``, ``delta``, ``answer`` and, at the
    end of a request, ``answered``; or ``refused`` with a message.
    """

    load: Guest | None = None
    answer: AnswerRequest | None = None
    stop: int = 0
