"""A rendering in units: control tokens, the template's own text, and contents; and the spans that they become."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from graftlm.api import Span

from .model_slots import Slot, number


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of a rendering and its place, in characters. ``turn`` is the message whose words it is, -1 for none."""

    kind: str
    begin: int
    end: int
    turn: int = -1


@dataclass(frozen=True, slots=True)
class Turn:
    """What the model writes in an assistant's turn: a range, and an end token that training adds there."""

    begin: int
    end: int
    added: str
    trained: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """``placed`` says that contents were told from the template's own text."""

    text: str
    units: tuple[Unit, ...]
    placed: bool
    left_out: frozenset[int] = field(default=frozenset())
    """Turns of which the template left words out, thoughts apart."""

    def splits_token(self, place: int) -> bool:
        return any(unit.kind == "control" and unit.begin < place < unit.end for unit in self.units)

    def after(self, place: int, limit: int) -> Iterable[tuple[str, str, int]]:
        """Kind, text and end of what stands between two places."""
        for unit in self.units:
            if unit.end > place and unit.begin < limit:
                yield unit.kind, self.text[max(place, unit.begin) : unit.end], unit.end


def split(text: str, tokens: re.Pattern[str], begin: int = 0) -> list[Unit]:
    """The template's own words, with control tokens taken out; places count from ``begin``."""
    units: list[Unit] = []
    at = 0
    for match in tokens.finditer(text):
        if match.start() > at:
            units.append(Unit("text", begin + at, begin + match.start()))
        units.append(Unit("control", begin + match.start(), begin + match.end()))
        at = match.end()
    if at < len(text):
        units.append(Unit("text", begin + at, begin + len(text)))
    return units


def layout(
    sketch: str, finds: re.Pattern[str], words: Sequence[str], slots: Sequence[Slot], tokens: re.Pattern[str]
) -> Layout:
    """The sketch (a rendering with stand-ins) with the words put in. Control tokens come out of the sketch alone."""
    units: list[Unit] = []
    parts: list[str] = []
    at = length = 0
    seen = set()
    for match in finds.finditer(sketch):
        slot = number(match.group(1))
        literal = sketch[at : match.start()]
        units += split(literal, tokens, length)
        length += len(literal)
        units.append(Unit("content", length, length + len(words[slot]), slots[slot].turn))
        length += len(words[slot])
        parts += [literal, words[slot]]
        seen.add(slot)
        at = match.end()
    units += split(sketch[at:], tokens, length)
    left_out = frozenset(s.turn for i, s in enumerate(slots) if i not in seen and not s.thought)
    return Layout("".join([*parts, sketch[at:]]), tuple(units), True, left_out)


def spans(made: Layout, turns: Sequence[Turn], quiet: Collection[int]) -> list[Span]:
    """``quiet`` are assistant turns that are not taught and whose range is not known: their words alone are answers."""
    cuts = sorted({place for turn in turns for place in (turn.begin, turn.end)})
    found: list[Span] = []
    for unit in made.units:
        for begin, end in pairwise([unit.begin, *(c for c in cuts if unit.begin < c < unit.end), unit.end]):
            turn = next((t for t in turns if t.begin <= begin and end <= t.end), None)
            is_answer = turn is not None or unit.turn in quiet
            kind = unit.kind
            found.append(
                Span(made.text[begin:end], kind, is_answer, turn is not None and turn.trained)  # type: ignore[arg-type]
            )
            found += [Span(t.added, "control", True, t.trained, True) for t in turns if t.added and t.end == end]
    return found
