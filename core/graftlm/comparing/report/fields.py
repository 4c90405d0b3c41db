"""Sections and tables of a judged report's page. On a narrow page a row is a card, with headings in its fields."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from graftlm.comparing.model import Estimate

from .judged import bounds, signed, value


def section(key: str, title: str, how: str, inside: str) -> str:
    said = f'\n<p class="how">{escape(how)}</p>' if how else ""
    return f'<section id="{key}">\n<h2>{escape(title)}</h2>{said}\n{inside}\n</section>'


def heads(names: Sequence[str]) -> str:
    made = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    return f"<thead><tr>{made}</tr></thead>"


def field(name: str, sort: float | None, inside: str, kind: str = "number") -> str:
    """A field of a table; on a narrow page its heading stands in it."""
    worth = repr(float(sort)) if sort is not None and math.isfinite(sort) else ""
    none = "" if inside else " none"
    return f'<td class="{kind}{none}" data-name="{escape(name)}" data-value="{worth}">{inside or "–"}</td>'


def figure_field(name: str, one: Estimate | None, unit: str, *, change: bool = False, below: str = "") -> str:
    if one is None:
        return field(name, None, "")

    def said(amount: float) -> str:
        return signed(amount, unit) if change else value(amount, unit)

    ends = bounds(one, lambda end: said(end).removesuffix("%"))
    small = f"<small>{ends}</small>" if ends else ""
    return field(name, one.value, f"<b>{said(one.value)}</b>{small}{below}")


def cell_name(rank: int, name: str, below: str = "") -> str:
    """A cell's name with its rank, at the head of a row."""
    small = f"<small>{escape(below)}</small>" if below else ""
    return f'<th scope="row" data-value="{rank}"><i class="rank">{rank}</i> {escape(name)}{small}</th>'


def listed(items: Sequence[str], most: int) -> str:
    """Of many, those after the first stand behind a click."""
    made = [f"<li>{item}</li>" for item in items]
    rest = made[most:]
    more = f"<details><summary>{len(rest)} more</summary><ul>{''.join(rest)}</ul></details>" if rest else ""
    return f"<ul>{''.join(made[:most])}</ul>{more}"
