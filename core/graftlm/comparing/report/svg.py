"""Charts as text: scales, axes and marks of an SVG that stands in the page as it is, and needs no script."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

LETTER = 6.7
"""About the width of a letter, at the 12 px of the page's charts."""


@dataclass(frozen=True, slots=True)
class Axis:
    """``of`` places a value; ``ticks`` are (value, text)."""

    of: Callable[[float], float]
    ticks: tuple[tuple[float, str], ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Box:
    """The plot's edges, within ``width`` and ``height``."""

    width: float
    height: float
    left: float = 50
    top: float = 14

    @property
    def right(self) -> float:
        return self.width - 14

    @property
    def bottom(self) -> float:
        return self.height - 46


def drawing(box: Box, key: str, kind: str, title: str, told: str, inside: Sequence[str]) -> str:
    """``key`` is unlike that of any other drawing in the page; ``told`` says all figures, for who cannot see them."""
    return (
        f'<svg class="drawn {kind}" viewBox="0 0 {box.width:g} {box.height:g}" role="img" '
        f'aria-labelledby="{key}-t" aria-describedby="{key}-d"><title id="{key}-t">{escape(title)}</title>'
        f'<desc id="{key}-d">{escape(told)}</desc>{"".join(inside)}</svg>'
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str, more: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"{more}/>'


def words(x: float, y: float, said: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(said)}</text>'


def circle(x: float, y: float, size: float, kind: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:g}" class="{kind}"/>'


def path(points: Sequence[tuple[float, float]], kind: str, dash: str = "") -> str:
    told = "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<path d="{told}" class="{kind}"{_dashed(dash)}/>'


def _dashed(dash: str) -> str:
    return f' stroke-dasharray="{dash}"' if dash else ""


def group(kind: str, told: str, inside: Sequence[str]) -> str:
    """``told`` is what a pointer gets to read."""
    return f'<g class="{kind}"><title>{escape(told)}</title>{"".join(inside)}</g>'


def wide(said: str) -> float:
    """About how wide a text is."""
    return LETTER * sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in said)


def shortened(said: str, room: float) -> str:
    if wide(said) <= room:
        return said
    kept = said
    while kept and wide(f"{kept}…") > room:
        kept = kept[:-1]
    return f"{kept.rstrip()}…"


def linear(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def axes(box: Box, x: Axis, y: Axis) -> list[str]:
    """Grid, ticks, and the name of the axis below; that of the other one stands above the drawing."""
    found = []
    for value, said in x.ticks:
        at = x.of(value)
        found += [line(at, box.top, at, box.bottom, "grid"), words(at, box.bottom + 17, said, "soft", "middle")]
    for value, said in y.ticks:
        at = y.of(value)
        found += [line(box.left, at, box.right, at, "grid"), words(box.left - 7, at + 4, said, "soft", "end")]
    found.append(line(box.left, box.bottom, box.right, box.bottom, "axis"))
    found.append(words(box.right, box.bottom + 37, shortened(x.name, box.width - 20), "soft", "end"))
    return found


def axis(
    values: Sequence[float], start: float, end: float, most: int, *, least: float, share: bool = False, name: str = ""
) -> Axis:
    """Around the values, over ``least`` at the least; of shares in percent, and within what a share can be."""
    low, high = min(values), max(values)
    margin = max((high - low) * 0.08, (least - (high - low)) / 2)
    low, high = low - margin, high + margin
    if share:
        shift = max(0.0, -0.04 - low) - max(0.0, high - 1.04)
        low, high = max(-0.04, low + min(shift, 0)), min(1.04, high + max(shift, 0))
    scale = 100 if share else 1
    steps = _steps(low * scale, high * scale, most)
    unit = "%" if share else ""
    ticks = tuple((v / scale, f"{said}{unit}") for v, said in steps if not share or 0 <= v <= 100)
    return Axis(linear(low, high, start, end), ticks, name)


def _steps(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Round numbers, with as many digits after the point as their step has."""
    raw = (high - low) / max(1, most)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    digits = next((n for n in range(9) if abs(step * 10**n - round(step * 10**n)) < 1e-6), 9)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(n * step, f"{n * step:,.{digits if n else 0}f}".replace("-", "−")) for n in range(first, last + 1)]


class Places:
    """Where text may stand: on no mark and no other text, and not on a thin line where it can be helped."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._taken: list[tuple[float, float, float, float]] = []
        self._thin: list[tuple[float, float, float, float]] = []

    def take(self, left: float, top: float, right: float, bottom: float, *, thin: bool = False) -> None:
        (self._thin if thin else self._taken).append((left, top, right, bottom))

    def beside(self, x: float, y: float, said: str, kind: str) -> str:
        """The text near a mark, or nothing where there is no room."""
        long = wide(said)
        for taken in ([*self._taken, *self._thin], self._taken):
            for far in (0, 8, 16):
                near = (
                    (x + 10 + far, y + 4, "start"), (x - 10 - far, y + 4, "end"), (x, y - 10 - far, "middle"),
                    (x, y + 20 + far, "middle"), (x + 8, y - 9 - far, "start"), (x + 8, y + 18 + far, "start"),
                    (x - 8, y - 9 - far, "end"), (x - 8, y + 18 + far, "end"),
                )  # fmt: skip
                for at, base, anchor in near:
                    left = at - {"start": 0.0, "middle": long / 2, "end": long}[anchor]
                    place = (left, base - 11, left + long, base + 3)
                    if self._inside(*place) and _free(place, taken):
                        self.take(*place)
                        return words(at, base, said, kind, anchor)
        return ""

    def _inside(self, left: float, top: float, right: float, bottom: float) -> bool:
        box = self._box
        return left >= box.left and right <= box.width and top >= box.top - 12 and bottom <= box.bottom


def _free(place: tuple[float, ...], taken: Sequence[tuple[float, ...]]) -> bool:
    left, top, right, bottom = place
    return all(right < a or left > c or bottom < b or top > d for a, b, c, d in taken)
