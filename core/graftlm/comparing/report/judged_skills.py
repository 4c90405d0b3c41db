"""What became of each skill, in a judged report's page: old skills over cells, and all evaluations of each cell."""

from __future__ import annotations

from html import escape

from graftlm.comparing.model import JudgedCell, Judgement, Learned, Report

from .fields import cell_name, field, figure_field, heads, section
from .judged import bounds, change, of, old_skills, ranked, score_said, signed, skill, turn

_HEAT = 10  # up to as many skills, an interval stands in each field
_TURNS = {-1: "worse", 0: "even", 1: "better"}
_SIGNS = {-1: "✗", 0: "", 1: "✓"}


def old_skills_table(report: Report, judgement: Judgement) -> str:
    skills = old_skills(judgement)
    if not skills:
        return ""
    names = {key: skill(key, tuple(skills)) for key in skills}
    rows = []
    for rank, (cell, _) in enumerate(ranked(report, judgement), start=1):
        fields = [_field(of(cell, key, "old"), names[key], len(skills) <= _HEAT) for key in skills]
        rows.append('<tr class="cell">' + cell_name(rank, cell.name) + "".join(fields) + "</tr>")
    body = "\n".join(rows)
    dense = "" if len(skills) <= _HEAT else " dense"
    table = (
        f'<div class="table"><table class="sorts heat{dense}">{heads(["Cell", *names.values()])}\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )
    how = (
        "The change of each old skill in percentage points. ✗ marks what is worse and ✓ what is better for certain: "
        "the 95% interval does not hold 0. All else may be chance."
    )
    return section("old", "What became of the old skills", how, table)


def _field(each: Learned | None, name: str, roomy: bool) -> str:
    if each is None:
        return field(name, None, "")
    way = turn(each)
    much = min(4, 1 + sum(abs(each.change.value) >= step for step in (0.05, 0.15, 0.4))) if way else 0
    said = signed(each.change.value, each.unit)
    ends = bounds(each.change, lambda end: signed(end, each.unit))
    small = f"<small>{ends}</small>" if roomy and ends else ""
    title = f' title="{escape(change(each.change, each.unit))}"'
    shown = f"<b{title}>{_SIGNS[way]} {said}</b>" if way else f"<span{title}>{said}</span>"
    return field(name, each.change.value, shown + small, f"number {_TURNS[way]} much{much}")


def evaluations(report: Report, judgement: Judgement) -> str:
    cells = ranked(report, judgement)
    if not cells:
        return ""
    told = "\n".join(_every(rank, cell, judgement) for rank, (cell, _) in enumerate(cells, start=1))
    how = "All that was measured before and after training, on the same rows, and where each row's answer is kept."
    return section("evaluations", "All evaluations", how, told)


def _every(rank: int, cell: JudgedCell, judgement: Judgement) -> str:
    rows = "\n".join(
        f'<tr class="cell"><th scope="row">{escape(each.evaluation)}<small>{each.role} skill, {escape(each.metric)}'
        f"</small></th>{field('n', each.n, f'<b>{each.n:,}</b>')}{figure_field('Before', each.before, each.unit)}"
        f"{figure_field('After', each.after, each.unit)}{figure_field('Change', each.change, each.unit, change=True)}"
        f'<td class="number {_TURNS[turn(each)]}" data-name="Shown">{_SIGNS[turn(each)]} '
        f"{_TURNS[turn(each)] if turn(each) else '–'}</td></tr>"
        for each in cell.learned
    )
    where = f" What each row was worth: <code>{escape(cell.samples)}/</code>" if cell.samples else ""
    return (
        f'<details class="every"><summary><i class="rank">{rank}</i> {escape(cell.name)}</summary>\n'
        f'<p class="how">{escape(score_said(cell, judgement.weights))}.{where}</p>\n'
        f'<div class="table"><table>{heads(["Evaluation", "n", "Before", "After", "Change", "Shown"])}\n'
        f"<tbody>\n{rows}\n</tbody></table></div></details>"
    )
