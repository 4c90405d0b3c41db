"""A report as Markdown that reads well both raw and rendered."""

from __future__ import annotations

from collections.abc import Sequence

from graftlm.comparing.model import CellReport, Measure, Report, Sweep

from .headline import findings, gate_sentence
from .judged_markdown import judged_markdown, judged_table
from .markdown_text import code, joined, pairs, table, text
from .rows import (
    Columns,
    Group,
    amount,
    columns,
    gate,
    groups,
    heading,
    interval,
    labels,
    number,
    standing,
    usable,
    words,
)

_MOST = 12  # sentences at the head


def markdown(report: Report) -> str:
    """The whole report: what it was measured on, a table a group of cells, what was left out and why, sweeps."""
    if report.judgement is not None:
        return judged_markdown(report, report.judgement)
    shown, found = columns(report), groups(report)
    short = labels(report, found)
    parts = [f"# {text(report.title)}", text(f"{report.created} · {_rounds(report)}")]
    told = findings(report, found, shown, short)
    parts += [text(f"{one.title}: {one.said}", "- ") for one in told[:_MOST]]
    parts += [f"- and {len(told) - _MOST} groups more, below"] if len(told) > _MOST else []
    parts.append(text(gate_sentence(report)))
    parts += pairs("Measured on", report.about) + pairs("Settings of all cells", report.settings, as_code=True)
    for group in found:
        parts += _group(report, group, shown)
    for sweep in report.sweeps:
        parts += _sweep(report, sweep)
    if report.notes:
        parts += ["## Notes", "\n".join(text(note, "- ") for note in report.notes)]
    return joined(parts)


def readme_table(report: Report) -> str:
    """The compact table alone: cell, speed, its ratio with the interval, memory, gate; reasons where there are none.
    Of a judged report, what was learned and what it cost.
    """
    if report.judgement is not None and report.judgement.cells:
        return judged_table(report, report.judgement)
    shown, found = columns(report), groups(report)
    head = ["Cell", *(heading(one) for one in (shown.speed,) if one), "Ratio", "Peak memory", "Gate"]
    rows = []
    for cell in (report.cells[which] for group in found for which in group.cells):
        left_out = _left_out(cell)
        rows.append(
            [
                code(cell.name, in_table=True),
                *([amount(cell, shown.speed)] if shown.speed else []),
                _ratio(cell, shown.speed),
                amount(cell, shown.memory),
                text(left_out) if left_out else _gate_short(cell),
            ]
        )
    return table(head, rows)


def _rounds(report: Report) -> str:
    rounds = "1 round" if report.rounds == 1 else f"{report.rounds} rounds"
    return f"{rounds}, interleaved, warm-up of {report.warmup} {'step' if report.warmup == 1 else 'steps'} left out"


def _group(report: Report, group: Group, shown: Columns) -> list[str]:
    cells = [report.cells[number] for number in group.cells]
    parts = [f"## {text(group.title)}"]
    if group.baseline is not None:
        parts.append(f"Ratios are to {code(report.cells[group.baseline].name)}.")
    measured = [cell for cell in cells if cell.figures and cell.status in ("finished", "unfinished")]
    if measured:
        speed = [heading(shown.speed), "Ratio", "In words"] if shown.speed else []
        rest = [one for one in (shown.memory, shown.first_step, shown.loss) if one is not None]
        head = ["Cell", "Compared as", *speed, *(heading(one) for one in rest), "Checks"]
        parts.append(table(head, [_row(cell, shown.speed, rest) for cell in measured]))
    left_out = [(cell, _left_out(cell)) for cell in cells]
    parts.append("\n".join(f"- {code(cell.name)}: {text(reason)}" for cell, reason in left_out if reason))
    others = [cell for cell in measured if cell.relation == "another computation"]
    parts.append("\n".join(_another(report, cell) for cell in others))
    return parts


def _row(cell: CellReport, speed: Measure | None, rest: Sequence[Measure]) -> list[str]:
    ratio = usable(cell, speed)
    said = [amount(cell, speed, spread=True), _ratio(cell, speed), text(words(ratio)) if ratio else ""]
    return [
        code(cell.name, in_table=True),
        standing(cell)[0],
        *(said if speed else []),
        *(amount(cell, one) for one in rest),
        text(gate(cell)),
    ]


def _ratio(cell: CellReport, measure: Measure | None) -> str:
    if cell.relation == "baseline" and cell.figures:
        return "1"
    ratio = usable(cell, measure)
    return interval(ratio) if ratio is not None else ""


def _left_out(cell: CellReport) -> str:
    """Of a cell that gets no ratio: that, and the reason."""
    if cell.status == "finished" and cell.relation in ("baseline", "same computation", "another computation"):
        return ""
    return f"{standing(cell)[0]}, {cell.reason}" if cell.reason else standing(cell)[0]


def _gate_short(cell: CellReport) -> str:
    if cell.relation == "another computation":
        return "another computation"
    return f"{sum(check.passed for check in cell.checks)} of {len(cell.checks)}" if cell.checks else ""


def _another(report: Report, cell: CellReport) -> str:
    computes = report.computations.get(cell.computation, "")
    told = "; ".join(part for part in (computes, cell.reason) if part)
    return f"- {code(cell.name)}: another computation{', ' if told else ''}{text(told)}"


def _sweep(report: Report, sweep: Sweep) -> list[str]:
    known = {one.name: one for one in report.measures}
    rows = []
    for slope in sweep.slopes:
        measure = known.get(slope.measure)
        bounds = "" if slope.low is None or slope.high is None else f" ({number(slope.low)} to {number(slope.high)})"
        rows.append(
            [
                text(slope.cells),
                text(heading(measure) if measure else slope.measure),
                number(slope.exponent) + bounds,
                text(slope.said),
            ]
        )
    return [
        f"## As {text(sweep.setting)} grows",
        "A measure grows as the swept value to the power of its slope: 1 is in step with it, 2 its square.",
        table(["Cells", "Measure", "Slope", "In words"], rows),
    ]
