"""The charts of a judged report: what was learned against what was forgotten, and scores over training rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from graftlm.comparing.model import Curve, Estimate, Judgement

from .judged import NATS, Key, change, estimate, new_skills, of, twice, unit_of, value
from .svg import Axis, Box, Places, axes, axis, circle, drawing, group, line, linear, path, shortened, wide, words

SIZES = {"wide": (640.0, 400.0), "narrow": (328.0, 320.0)}
"""One is drawn for a wide page and one for a telephone: scaled down, the wide one's text could not be read."""
NAMED = 12
"""With more cells, only their ranks stand in the chart."""
_DASHES = ("", "6 3", "2 3", "9 3 2 3")


@dataclass(frozen=True, slots=True)
class Drawn:
    title: str
    drawings: str
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class _Dot:
    rank: int
    name: str
    hue: int
    forgot: Estimate
    learned: Estimate


def hues(names: Sequence[str]) -> dict[str, int]:
    """The page's script gives cells the same colours, in the report's order."""
    return {name: n % 8 for n, name in enumerate(names)}


def trade_offs(judgement: Judgement, labels: dict[str, str], hue: dict[str, int]) -> list[Drawn]:
    """One for each new skill: to the left less was forgotten, further up more was learned."""
    made = []
    for number, (key, skill) in enumerate(new_skills(judgement).items()):
        dots, without = _dots(judgement, key, labels, hue)
        if dots:
            name = f"{skill.evaluation}, {skill.metric}"
            drawn = "".join(_trade_off(dots, name, skill.unit, kind, f"trade-{number}-{kind}") for kind in SIZES)
            made.append(Drawn(name, drawn, without))
    return made


def _dots(judgement: Judgement, key: Key, labels: dict[str, str], hue: dict[str, int]) -> tuple[list[_Dot], int]:
    """And how many cells have no figures to draw."""
    dots, without = [], 0
    for rank, cell in enumerate(judgement.cells, start=1):
        learned = of(cell, key, "new")
        if learned is None:
            continue  # it was taught something else
        if cell.forgetting and math.isfinite(cell.forgetting.value) and math.isfinite(learned.after.value):
            name = labels.get(cell.name, cell.name)
            dots.append(_Dot(rank, name, hue.get(cell.name, 0), cell.forgetting, learned.after))
        else:
            without += 1
    return dots, without


def _ends(one: Estimate) -> list[float]:
    return [end for end in (one.low, one.value, one.high) if end is not None and math.isfinite(end)]


def _trade_off(dots: Sequence[_Dot], name: str, unit: str, kind: str, key: str) -> str:
    box = Box(*SIZES[kind])
    many = 6 if kind == "wide" else 4
    forgot = [0.0, *(end for dot in dots for end in _ends(dot.forgot))]
    learned = [end for dot in dots for end in _ends(dot.learned)]
    x = axis(forgot, box.left, box.right, many, least=0.02, name="forgotten: nats a token on the retention text")
    share = unit == "fraction"
    least = 0.2 if share else max(abs(v) for v in learned) * 0.2 or 1.0
    y = axis(learned, box.bottom, box.top, 5, least=least, share=share)
    parts = axes(box, x, y)
    parts.append(line(x.of(0), box.top, x.of(0), box.bottom, "one"))
    places = Places(box)
    for dot in dots:
        a, b = x.of(dot.forgot.value), y.of(dot.learned.value)
        places.take(a - 7, b - 7, a + 7, b + 7)
        across, upright = [x.of(end) for end in _ends(dot.forgot)], [y.of(end) for end in _ends(dot.learned)]
        places.take(min(across), b - 3, max(across), b + 3, thin=True)
        places.take(a - 3, min(upright), a + 3, max(upright), thin=True)
    texts = []
    for dot in dots:
        a, b = x.of(dot.forgot.value), y.of(dot.learned.value)
        full = shortened(f"{dot.rank} {dot.name}", 190 if kind == "wide" else 120)
        for said in (full, str(dot.rank)) if len(dots) <= NAMED else (str(dot.rank),):
            if written := places.beside(a, b, said, "halo"):
                texts.append(written)
                break
    # The best comes last, to lie on top.
    for dot in reversed(dots):
        a, b = x.of(dot.forgot.value), y.of(dot.learned.value)
        whiskers = [*_whisker(x, dot.forgot, b, flat=True), *_whisker(y, dot.learned, a, flat=False)]
        parts.append(group(f"k{dot.hue}", _told(dot, unit), [*whiskers, circle(a, b, 5.5, "fill")]))
    told = "; ".join(_told(dot, unit) for dot in dots)
    title = f"{name}, against what was forgotten"
    return drawing(box, key, kind, title, told, [*parts, *texts])


def _told(dot: _Dot, unit: str) -> str:
    return (
        f"{dot.rank} {dot.name}: {estimate(dot.learned, unit)} after training, "
        f"forgot {change(dot.forgot, NATS)} nats a token"
    )


def _whisker(scale: Axis, one: Estimate, across: float, *, flat: bool, kind: str = "stroke") -> list[str]:
    """With a small bar at each end."""
    if one.low is None or one.high is None or not (math.isfinite(one.low) and math.isfinite(one.high)):
        return []
    a, b = scale.of(one.low), scale.of(one.high)
    if flat:
        lines = [(a, across, b, across), (a, across - 3, a, across + 3), (b, across - 3, b, across + 3)]
    else:
        lines = [(across, a, across, b), (across - 3, a, across + 3, a), (across - 3, b, across + 3, b)]
    return [line(*each, kind) for each in lines]


def learning(judgement: Judgement) -> list[tuple[Drawn, list[tuple[int, Curve]]]]:
    """One for each new skill, with its curves numbered: what tells them apart is the model or the method."""
    groups: dict[Key, list[Curve]] = {}
    for curve in judgement.curves:
        if any(math.isfinite(point.score.value) for point in curve.points):
            groups.setdefault((curve.evaluation, curve.metric), []).append(curve)
    made = []
    for number, ((evaluation, metric), curves) in enumerate(groups.items()):
        unit = unit_of(judgement, evaluation, metric)
        name = f"{evaluation}, {metric}"
        drawn = "".join(_learning(curves, name, unit, kind, f"curve-{number}-{kind}") for kind in SIZES)
        made.append((Drawn(name, drawn), list(enumerate(curves))))
    return made


def _learning(curves: Sequence[Curve], name: str, unit: str, kind: str, key: str) -> str:
    box = Box(*SIZES[kind])
    known = [[p for p in curve.points if math.isfinite(p.score.value)] for curve in curves]
    forecast = [curve.doubled if curve.doubled and math.isfinite(curve.doubled.value) else None for curve in curves]
    rows = {max(1, p.rows) for points in known for p in points}
    rows |= {max(1, twice(c.points)) for c, f in zip(curves, forecast, strict=True) if f is not None}
    x = _rows_axis(sorted(rows), box)
    ends = [end for points in known for p in points for end in _ends(p.score)]
    ends += [end for f in forecast if f is not None for end in _ends(f)]
    share = unit == "fraction"
    least = 0.2 if share else max(map(abs, ends)) * 0.2 or 1.0
    y = axis(ends, box.bottom, box.top, 5, least=least, share=share)
    parts, said = axes(box, x, y), []
    for n, (curve, points, more) in enumerate(zip(curves, known, forecast, strict=True)):
        # Curves that share their numbers of rows stand a little apart, so that whiskers do not hide each other.
        shift = (n - (len(curves) - 1) / 2) * min(5.0, 24 / len(curves))
        at = [(x.of(max(1, p.rows)) + shift, y.of(p.score.value)) for p in points]
        drawn = [path(at, "stroke", _DASHES[n % 4])]
        for (a, b), point in zip(at, points, strict=True):
            drawn += [*_whisker(y, point.score, a, flat=False), circle(a, b, 4.5, "fill")]
        told = ", ".join(f"{p.rows:,} rows {estimate(p.score, unit)}" for p in points)
        if more is not None:
            a, b = x.of(max(1, twice(curve.points))) + shift, y.of(more.value)
            drawn += [path([at[-1], (a, b)], "front"), *_whisker(y, more, a, flat=False), circle(a, b, 5, "hollow")]
            told += f", forecast for {twice(curve.points):,} rows {estimate(more, unit)}"
            drawn.append(words(a, b - 9, value(more.value, unit), "soft halo", "middle") if len(curves) == 1 else "")
        told = f"{curve.cells}: {told}" if curve.cells else told
        said.append(told)
        parts.append(group(f"k{n % 8}", told, drawn))
    return drawing(box, key, kind, f"{name}, over training rows", "; ".join(said), parts)


def _rows_axis(rows: Sequence[int], box: Box) -> Axis:
    """Logarithmic; ticks are at the numbers of rows that were trained on, as far as there is room."""
    place = linear(math.log(rows[0]), math.log(rows[-1]), box.left + 22, box.right - 26)
    ticks: list[tuple[float, str]] = []
    free = -math.inf
    for number in rows:
        said, at = f"{number:,}", place(math.log(number))
        if at - wide(said) / 2 > free:
            ticks.append((number, said))
            free = at + wide(said) / 2 + 8
    return Axis(lambda value: place(math.log(value)), tuple(ticks), "training rows")


def swatch(number: int, curve: Curve) -> str:
    """Of a curve in the text beside the chart."""
    dash = f' stroke-dasharray="{_DASHES[number % 4]}"' if number % 4 else ""
    inside = f'<line x1="0" y1="8" x2="22" y2="8" class="stroke"{dash}/>{circle(11, 8, 4, "fill")}'
    return f'<svg class="k{number % 8}" width="22" height="16" aria-hidden="true">{inside}</svg>'
