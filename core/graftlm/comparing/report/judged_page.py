"""The parts of a judged report's page: what was learned, what it cost, and charts. No script is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from graftlm.comparing.model import CellReport, Curve, JudgedCell, Judgement, Learned, Measure, Report

from .fields import cell_name, field, figure_field, heads, listed, section
from .judged import (
    INTERVALS,
    NATS,
    Key,
    estimate,
    lost,
    lost_said,
    new_skills,
    nothing_lost,
    of,
    ranked,
    score,
    sentence,
    twice,
    unit_of,
    value,
    weights_said,
)
from .judged_charts import NAMED, hues, learning, swatch, trade_offs
from .judged_markdown import APART, curve_title
from .judged_skills import evaluations, old_skills_table
from .rows import BAD, GOOD, PLAIN, Group, amount, heading

_LOST, _SHOWN = 3, 6  # more of them stand behind a click


def judged_group(report: Report, judgement: Judgement) -> Group:
    """All cells side by side, the best first, then those that did not finish."""
    which = {cell.name: number for number, cell in enumerate(report.cells)}
    first = [which[cell.name] for cell in judgement.cells if cell.name in which]
    return Group("", None, (*first, *(number for number in which.values() if number not in first)))


def state(cell: CellReport) -> tuple[str, str]:
    """What became of a cell; and how that is meant."""
    return cell.status, {"finished": GOOD, "failed": BAD}.get(cell.status, PLAIN)


def sentences(report: Report, judgement: Judgement) -> str:
    names = [cell.name for cell in report.cells]
    return f"<ul>{''.join(f'<li><span>{escape(sentence(s, names))}</span></li>' for s in judgement.said)}</ul>"


def judged_sections(report: Report, judgement: Judgement, labels: Sequence[str]) -> str:
    short = {cell.name: label for cell, label in zip(report.cells, labels, strict=True)}
    made = [
        _table(report, judgement),
        _trade_offs(report, judgement, short),
        _curves(judgement),
        old_skills_table(report, judgement),
        evaluations(report, judgement),
    ]
    return "\n".join(filter(None, made))


def _table(report: Report, judgement: Judgement) -> str:
    cells = ranked(report, judgement)
    if not cells:
        return ""
    skills = new_skills(judgement)
    measures = {one.name: one for one in report.measures}
    shown = [measures[name] for name in ("tokens_per_second", "peak_memory", "adapter_bytes") if name in measures]
    learned = [f"{e.evaluation}, {e.metric}" for e in skills.values()] if len(skills) <= APART else ["New skills"]
    head = ["Cell", *learned, "Against the best", "Forgetting", "Lost", *(heading(one) for one in shown), "Score"]
    rows = []
    for rank, (cell, told) in enumerate(cells, start=1):
        rows.append(
            '<tr class="cell">'
            + cell_name(rank, cell.name, f"kept as {cell.adapter}" if cell.adapter else "")
            + _learned(cell, skills)
            + _against(cell, judgement)
            + figure_field("Forgetting", cell.forgetting, NATS, change=True)
            + _lost(cell)
            + "".join(_measured(told, measure) for measure in shown)
            + field("Score", cell.score, f"<b>{score(cell.score)}</b>")
            + "</tr>"
        )
    body = "\n".join(rows)
    table = f'<div class="table"><table class="sorts">{heads(head)}\n<tbody>\n{body}\n</tbody></table></div>'
    how = (
        f"{INTERVALS.replace('In brackets', 'Below each figure')} Forgetting is in nats a token on the retention text."
    )
    weights = weights_said(judgement.weights)
    below = f'\n<p class="how weights">{escape(weights)}</p>' if weights else ""
    return section("judged", "What was learned, and what it cost", how, table + below)


def _measured(cell: CellReport, measure: Measure) -> str:
    if measure.name not in cell.figures:
        return field(heading(measure), None, "")
    return field(heading(measure), cell.figures[measure.name].median, f"<b>{amount(cell, measure)}</b>")


def _learned(cell: JudgedCell, skills: Mapping[Key, Learned]) -> str:
    found = [(f"{key[0]}, {key[1]}", of(cell, key, "new")) for key in skills]
    if len(skills) <= APART:
        return "".join(
            figure_field(name, each.after, each.unit, below=_before(each)) if each else field(name, None, "")
            for name, each in found
        )
    told = [
        f"{escape(e.evaluation)} <b>{value(e.after.value, e.unit)}</b>"
        f" <small>{estimate(e.after, e.unit).partition(' ')[2].strip('()')}</small>{_before(e)}"
        for _, e in found
        if e is not None
    ]
    return field("New skills", cell.parts.get("new"), listed(told, _SHOWN) if told else "", "several")


def _before(learned: Learned) -> str:
    return f"<small>before: {estimate(learned.before, learned.unit)}</small>"


def _against(cell: JudgedCell, judgement: Judgement) -> str:
    name = "Against the best"
    if cell is judgement.cells[0]:
        return field(name, 0.0, "the best")
    first = next((each for each in cell.learned if each.role == "new"), None)
    return figure_field(name, cell.against_best if first else None, first.unit if first else "", change=True)


def _lost(cell: JudgedCell) -> str:
    found = []
    for name, much in map(lost_said, lost(cell)):
        middle, _, rest = much.partition(" (")
        found.append(f"{escape(name)} <b>{middle}</b> <small>{rest.removesuffix(')')}</small>")
    return field("Lost", float(len(found)), listed(found, _LOST) if found else nothing_lost(cell), "lost")


def _trade_offs(report: Report, judgement: Judgement, short: dict[str, str]) -> str:
    drawn = trade_offs(judgement, short, hues([cell.name for cell in report.cells]))
    if not drawn:
        return ""
    panels = "".join(
        f'<div class="panel"><h3>{escape(one.title)}, after training</h3>{one.drawings}'
        + _without(one.left_out)
        + "</div>"
        for one in drawn
    )
    how = "Up and to the left is better: more was learned, and less forgotten. Lines are 95% intervals. "
    many = len(judgement.cells) > NAMED
    how += "Numbers are the ranks of the table." if many else "Numbers are ranks: names stand where there is room."
    kind = "panels one" if len(drawn) == 1 else "panels"
    return section("learned", "Learned against forgotten", how, f'<div class="{kind}">{panels}</div>')


def _without(cells: int) -> str:
    if not cells:
        return ""
    return f'<p class="how">{"1 cell has" if cells == 1 else f"{cells} cells have"} no figure to draw.</p>'


def _curves(judgement: Judgement) -> str:
    drawn = learning(judgement)
    if not drawn:
        return ""
    panels = []
    for one, curves in drawn:
        said = "".join(
            f"<li>{swatch(n, c)}<span>{escape(f'{c.cells}: {c.said}' if c.cells else sentence(c.said, ()))}</span></li>"
            for n, c in curves
        )
        tables = "".join(_points(c, unit_of(judgement, c.evaluation, c.metric)) for _, c in curves)
        panels.append(
            f'<div class="panel"><h3>{escape(one.title)}, after training</h3>{one.drawings}<ul class="said">{said}</ul>'
            f"<details><summary>The figures</summary>{tables}</details></div>"
        )
    how = (
        "The axis of rows is logarithmic. Lines are 95% intervals; a hollow mark is a forecast for twice the most rows."
    )
    kind = "panels one" if len(panels) == 1 else "panels"
    return section("rows", "Score over training rows", how, f'<div class="{kind}">{"".join(panels)}</div>')


def _points(curve: Curve, unit: str) -> str:
    told = [(f"{p.rows:,} rows", estimate(p.score, unit)) for p in curve.points]
    if curve.doubled is not None:
        told.append((f"{twice(curve.points):,} rows, forecast", estimate(curve.doubled, unit)))
    pairs = "".join(f"<div><dt>{name}</dt><dd>{said}</dd></div>" for name, said in told)
    return f'<h4>{escape(curve_title(curve))}</h4><dl class="points">{pairs}</dl>'
