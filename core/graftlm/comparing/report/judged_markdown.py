"""A judged report as Markdown: what was learned and what it cost, and every figure behind it."""

from __future__ import annotations

from graftlm.comparing.model import CellReport, Curve, Estimate, JudgedCell, Judgement, Learned, Report

from .judged import (
    INTERVALS,
    NATS,
    Key,
    change,
    doubted,
    estimate,
    left_out,
    lost,
    lost_said,
    new_skills,
    nothing_lost,
    of,
    ranked,
    score,
    score_said,
    sentence,
    turn,
    twice,
    unit_of,
    weights_said,
)
from .markdown_text import code, joined, pairs, table, text
from .rows import amount, gate

APART = 3
"""Up to as many new skills have columns of their own."""
NONE = Estimate(value=0)
_TURNS = {-1: "worse", 0: "", 1: "better"}


def judged_markdown(report: Report, judgement: Judgement) -> str:
    """The same figures as the page."""
    names = [cell.name for cell in report.cells]
    made = f"{report.created} · graftlm compare"
    if report.warmup:
        first = "the first step" if report.warmup == 1 else f"the first {report.warmup} steps"
        made += f" · speeds without {first}"
    parts = [f"# {text(report.title)}", text(made)]
    parts.append("\n".join(text(sentence(said, names), "- ") for said in judgement.said))
    parts += pairs("Measured on", report.about) + pairs("Settings of all cells", report.settings, as_code=True)
    if judgement.cells:
        parts += ["## What was learned, and what it cost", judged_table(report, judgement), INTERVALS]
        parts.append("## All evaluations")
        for cell, _ in ranked(report, judgement):
            parts += _evaluations(cell, judgement)
    if judgement.curves:
        parts.append("## Score over training rows")
        for curve in judgement.curves:
            parts += _curve(curve, unit_of(judgement, curve.evaluation, curve.metric))
    if others := left_out(report):
        parts += ["## What did not finish", "\n".join(f"- {code(name)}: {text(why)}" for name, why in others)]
    if wrong := doubted(report):
        parts += ["## Checks that failed", "\n".join(_doubt(cell) for cell in wrong)]
    if said := weights_said(judgement.weights):
        parts += ["## Weights", text(said)]
    if report.notes:
        parts += ["## Notes", "\n".join(text(note, "- ") for note in report.notes)]
    return joined(parts)


def judged_table(report: Report, judgement: Judgement) -> str:
    """A line a cell, the best first."""
    skills = new_skills(judgement)
    measures = {one.name: one for one in report.measures}
    shown = [
        (head, measures[name])
        for head, name in (
            ("Tokens/s", "tokens_per_second"), ("Peak memory", "peak_memory"), ("Adapter size", "adapter_bytes"),
        )
        if name in measures
    ]  # fmt: skip
    if len(skills) <= APART:
        learned = [f"{e.evaluation}, {e.metric}, {when}" for e in skills.values() for when in ("before", "after")]
    else:
        learned = ["New skills, before → after"]
    head = ["Cell", *learned, "Against the best", "Forgetting, nats a token", "Lost", *(said for said, _ in shown)]
    rows = [
        [
            code(cell.name, in_table=True),
            *_learned(cell, skills),
            against(cell, judgement),
            change(cell.forgetting, NATS) if cell.forgetting else "",
            _lost(cell),
            *(amount(told, measure) for _, measure in shown),
            score(cell.score),
            code(cell.adapter, in_table=True) if cell.adapter else "",
        ]
        for cell, told in ranked(report, judgement)
    ]
    return table([*head, "Score", "Kept as"], rows)


def against(cell: JudgedCell, judgement: Judgement) -> str:
    """The difference from the best, paired over rows."""
    if cell is judgement.cells[0]:
        return "the best"
    first = next((each for each in cell.learned if each.role == "new"), None)
    return change(cell.against_best, first.unit) if first and cell.against_best else ""


def _learned(cell: JudgedCell, skills: dict[Key, Learned]) -> list[str]:
    found = [of(cell, key, "new") for key in skills]
    if len(skills) <= APART:
        return [
            estimate(moment, each.unit) if each else ""
            for each in found
            for moment in ((each.before, each.after) if each else (NONE, NONE))
        ]
    told = [
        f"{text(e.evaluation)} {estimate(e.before, e.unit)} → {estimate(e.after, e.unit)}"
        for e in found
        if e is not None
    ]
    return ["; ".join(told)]


def _lost(cell: JudgedCell) -> str:
    told = [f"{text(name)} {much}" for name, much in map(lost_said, lost(cell))]
    return "; ".join(told) or nothing_lost(cell)


def _evaluations(cell: JudgedCell, judgement: Judgement) -> list[str]:
    rows = [
        [
            text(each.evaluation),
            each.role,
            text(each.metric),
            f"{each.n:,}",
            estimate(each.before, each.unit),
            estimate(each.after, each.unit),
            change(each.change, each.unit),
            _TURNS[turn(each)],
        ]
        for each in cell.learned
    ]
    where = f" What each row was worth: {code(cell.samples + '/')}." if cell.samples else ""
    return [
        f"### {code(cell.name)}",
        f"{text(score_said(cell, judgement.weights))}.{where}",
        table(["Evaluation", "Skill", "Metric", "n", "Before", "After", "Change", "Shown"], rows) if rows else "",
    ]


def _curve(curve: Curve, unit: str) -> list[str]:
    rows = [[f"{p.rows:,}", estimate(p.score, unit), code(p.cell, in_table=True)] for p in curve.points]
    if curve.doubled is not None:
        rows.append([f"{twice(curve.points):,}", estimate(curve.doubled, unit), "forecast"])
    return [
        f"### {text(curve_title(curve))}",
        table(["Training rows", "Score", "Cell"], rows),
        text(sentence(curve.said, ())),
    ]


def curve_title(curve: Curve) -> str:
    return f"{curve.evaluation}, {curve.metric}" + (f": {curve.cells}" if curve.cells else "")


def _doubt(cell: CellReport) -> str:
    return f"- {code(cell.name)}: {text(gate(cell))}{text('; ' + cell.reason) if cell.reason else ''}"
