"""Adapters that live on one base, which is loaded once, and who of them answers."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from graftlm.contracts.errors import StoreError, UsageError
from graftlm.contracts.job import Kept
from graftlm.contracts.services import SwappingTuner

from .kept import checked, tuner_of

BASE = ""
"""Who answers where no adapter does."""


@dataclass(frozen=True, slots=True)
class _Seat:
    """``name`` is what the tuner knows an adapter by. An adapter of another kind has to wait until it is asked."""

    kept: Kept
    tuner: SwappingTuner
    kind: str
    name: str
    mixes: bool


class LiveAdapters:
    """``model`` answers as whoever was last switched to."""

    def __init__(self, base: Any) -> None:
        self.model = base
        self._seats: dict[str, _Seat] = {}
        self._on: dict[str, _Seat] = {}
        """Those whose weights are on the model now; all of one kind."""
        self._now = BASE
        self._checked: Kept | None = None
        self._only = ""
        self._why = ""
        """The adapter that can only be used alone, and the reason."""
        self._made = 0

    def load(self, reference: str, kept: Kept, *, company: bool) -> None:
        """Put an adapter on the base. ``company``: others, or the base, will be asked too. Raises where it does not fit
        the base, or cannot share it.
        """
        self._refuse_other_base(reference, kept)
        tuner = tuner_of(kept)
        why = _alone(tuner, kept)
        if self._only or (why and (company or self._seats)):
            raise UsageError(self._alone_sentence(*((self._only, self._why) if self._only else (reference, why))))
        if why:
            self.model = tuner.apply(self.model, Path(kept.folder))
            self._only, self._why, self._now = reference, why, reference
            return
        swapping = cast("SwappingTuner", tuner)
        self._made += 1
        files = Path(kept.folder)
        name = f"a{self._made}"  # PEFT takes no dot in it
        seat = _Seat(kept, swapping, swapping.kind(files), name, swapping.mixes(files))
        try:
            self._sit(seat, reference)
            self._seats[reference] = seat
        finally:
            self._now = self._switched(self._now)

    def use(self, who: str) -> float | None:
        """Switch to an adapter, or to the base; the seconds that it took, or None where nothing had to be done."""
        if who == self._now:
            return None
        if self._only:
            raise UsageError(self._alone_sentence(self._only, self._why))
        began = time.monotonic()
        if who and who not in self._on:
            self._sit(self._seats[who], who)
            for other, seat in self._seats.items():
                if other not in self._on and seat.kind == self._seats[who].kind:
                    self._sit(seat, other)
        self._now = self._switched(who)
        return time.monotonic() - began

    def company(self, who: Collection[str]) -> list[list[str]]:
        """Those who can share a batch, together: all of one kind that mix, the base with the first of them."""
        together: dict[str, list[str]] = {}
        apart = []
        for each in who:
            seat = self._seats.get(each)
            if seat is not None and seat.mixes:
                together.setdefault(seat.kind, []).append(each)
            else:
                apart.append([each])
        shared = list(together.values())
        if shared and [BASE] in apart:
            apart.remove([BASE])
            shared[0].append(BASE)
        return [*shared, *apart]

    def rows(self, who: Sequence[str]) -> Mapping[str, Any]:
        """What ``generate`` is told so that each row is answered by its own; all adapters are on while it runs."""
        first = next(each for each in who if each)
        self.use(first)
        return self._seats[first].tuner.rows([self._seats[each].name if each else BASE for each in who])

    def _sit(self, seat: _Seat, reference: str) -> None:
        """On the model, beside those of its kind; those of another kind are taken off first."""
        if self._on and seat.kind != next(iter(self._on.values())).kind:
            self.model = next(iter(self._on.values())).tuner.bare(self.model)
            self._on = {}
        self.model = seat.tuner.beside(self.model, Path(seat.kept.folder), seat.name)
        self._on[reference] = seat

    def _switched(self, who: str) -> str:
        """Whoever is switched to: the base, where that adapter was taken off the model."""
        if not self._on:
            return BASE
        now = who if who in self._on else BASE
        any_seat = next(iter(self._on.values()))
        any_seat.tuner.switch(self.model, self._on[now].name if now else BASE)
        return now

    def _refuse_other_base(self, reference: str, kept: Kept) -> None:
        """The base is read, and its weights hashed, for the first; the others' records must say the same."""
        first = self._checked
        if first is None:
            checked(self.model, kept)
            self._checked = kept
        elif (kept.weights_digest, dict(kept.rope)) != (first.weights_digest, dict(first.rope)):
            raise StoreError(f"{reference} was trained on other weights, or with another RoPE, than the base has here")

    def _alone_sentence(self, reference: str, why: str) -> str:
        return f"{reference} can only be used alone: {why}"


def _alone(tuner: Any, kept: Kept) -> str:
    if not hasattr(tuner, "alone"):
        return f"the method '{kept.method}' does not say how its adapters share a base"
    why: str = tuner.alone(Path(kept.folder))
    return why or ("" if hasattr(tuner, "beside") else f"'{kept.method}' cannot be switched off and on")
