"""A report as Markdown that reads well both raw and rendered."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from graftlm.comparing.model import CellReport, Measure, Report, Sweep

from .headline import findings, gate_sentence
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

_WIDEST = 48  # a column is padded to its longest text up to here, so that one long text does not stretch all rows
_MOST = 12  # sentences at the head
_FIGURE = re.compile(r"–|[\d.,]+( ([KMGT]i)?B| m?s| µs| min)?( \([^()]*\))?")


def markdown(report: Report) -> str:
    """The whole report: what it was measured on, a table a group of cells, what was left out and why, sweeps."""
    shown, found = columns(report), groups(report)
    short = labels(report, found)
    parts = [f"# {_text(report.title)}", _text(f"{report.created} · {_rounds(report)}")]
    told = findings(report, found, shown, short)
    parts += [_text(f"{one.title}: {one.said}", "- ") for one in told[:_MOST]]
    parts += [f"- and {len(told) - _MOST} groups more, below"] if len(told) > _MOST else []
    parts.append(_text(gate_sentence(report)))
    parts += _pairs("Measured on", report.about) + _pairs("Settings of all cells", report.settings, code=True)
    for group in found:
        parts += _group(report, group, shown)
    for sweep in report.sweeps:
        parts += _sweep(report, sweep)
    if report.notes:
        parts += ["## Notes", "\n".join(_text(note, "- ") for note in report.notes)]
    return _joined(parts)


def readme_table(report: Report) -> str:
    """The compact table alone: cell, speed, its ratio with the interval, memory, gate; reasons where there are none."""
    shown, found = columns(report), groups(report)
    head = ["Cell", *(heading(one) for one in (shown.speed,) if one), "Ratio", "Peak memory", "Gate"]
    rows = []
    for cell in (report.cells[which] for group in found for which in group.cells):
        left_out = _left_out(cell)
        rows.append(
            [
                _code(cell.name, table=True),
                *([amount(cell, shown.speed)] if shown.speed else []),
                _ratio(cell, shown.speed),
                amount(cell, shown.memory),
                _text(left_out) if left_out else _gate_short(cell),
            ]
        )
    return _table(head, rows)


def _rounds(report: Report) -> str:
    rounds = "1 round" if report.rounds == 1 else f"{report.rounds} rounds"
    return f"{rounds}, interleaved, warm-up of {report.warmup} {'step' if report.warmup == 1 else 'steps'} left out"


def _group(report: Report, group: Group, shown: Columns) -> list[str]:
    cells = [report.cells[number] for number in group.cells]
    parts = [f"## {_text(group.title)}"]
    if group.baseline is not None:
        parts.append(f"Ratios are to {_code(report.cells[group.baseline].name)}.")
    measured = [cell for cell in cells if cell.figures and cell.status in ("finished", "unfinished")]
    if measured:
        speed = [heading(shown.speed), "Ratio", "In words"] if shown.speed else []
        rest = [one for one in (shown.memory, shown.first_step, shown.loss) if one is not None]
        head = ["Cell", "Compared as", *speed, *(heading(one) for one in rest), "Checks"]
        parts.append(_table(head, [_row(cell, shown.speed, rest) for cell in measured]))
    left_out = [(cell, _left_out(cell)) for cell in cells]
    parts.append("\n".join(f"- {_code(cell.name)}: {_text(reason)}" for cell, reason in left_out if reason))
    others = [cell for cell in measured if cell.relation == "another computation"]
    parts.append("\n".join(_another(report, cell) for cell in others))
    return parts


def _row(cell: CellReport, speed: Measure | None, rest: Sequence[Measure]) -> list[str]:
    ratio = usable(cell, speed)
    said = [amount(cell, speed, spread=True), _ratio(cell, speed), _text(words(ratio)) if ratio else ""]
    return [
        _code(cell.name, table=True),
        standing(cell)[0],
        *(said if speed else []),
        *(amount(cell, one) for one in rest),
        _text(gate(cell)),
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
    return f"- {_code(cell.name)}: another computation{', ' if told else ''}{_text(told)}"


def _sweep(report: Report, sweep: Sweep) -> list[str]:
    known = {one.name: one for one in report.measures}
    rows = []
    for slope in sweep.slopes:
        measure = known.get(slope.measure)
        bounds = "" if slope.low is None or slope.high is None else f" ({number(slope.low)} to {number(slope.high)})"
        rows.append(
            [
                _text(slope.cells),
                _text(heading(measure) if measure else slope.measure),
                number(slope.exponent) + bounds,
                _text(slope.said),
            ]
        )
    return [
        f"## As {_text(sweep.setting)} grows",
        "A measure grows as the swept value to the power of its slope: 1 is in step with it, 2 its square.",
        _table(["Cells", "Measure", "Slope", "In words"], rows),
    ]


def _pairs(title: str, told: Mapping[str, str], code: bool = False) -> list[str]:
    if not told:
        return []
    if code:
        return [f"**{title}:** " + ", ".join(_code(f"{name}={value}") for name, value in told.items() if value)]
    return [f"**{title}:**", "\n".join(f"- {_text(name)}: {_text(value)}" for name, value in told.items() if value)]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Padded, so that it is a table in a terminal too. Columns that nothing stands in are left out."""
    kept = [i for i in range(len(head)) if i == 0 or any(row[i] for row in rows)]
    lines = [[_text(head[i]) for i in kept], *([row[i] or "–" for i in kept] for row in rows)]
    widths = [min(_WIDEST, max(len(line[i]) for line in lines)) for i in range(len(kept))]
    right = [i > 0 and all(_FIGURE.fullmatch(line[i]) for line in lines[1:]) for i in range(len(kept))]
    rule = [
        ("-" * (max(width, 3) - 1) + ":") if r else "-" * max(width, 3) for width, r in zip(widths, right, strict=True)
    ]
    out = [_line(lines[0], widths, right), f"| {' | '.join(rule)} |"]
    return "\n".join(out + [_line(line, widths, right) for line in lines[1:]])


def _line(texts: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = [
        text.rjust(max(width, 3)) if r else text.ljust(max(width, 3))
        for text, width, r in zip(texts, widths, right, strict=True)
    ]
    return f"| {' | '.join(padded)} |"


def _text(said: str, before: str = "") -> str:
    """Text that Markdown shows as it is, in a table as well."""
    flat = re.sub(r"\s+", " ", said).strip()
    flat = re.sub(r"([\\`*\[\]|~])|(?<!\w)(_)|(_)(?!\w)", lambda found: "\\" + found[0], flat)
    flat = flat.replace("&", "&amp;").replace("<", "&lt;")
    return before + re.sub(r"^([#>+-])", r"\\\1", flat)


def _code(said: str, table: bool = False) -> str:
    """As code, between as many backticks as it takes. Only in a table does a pipe in code have to be escaped."""
    flat = re.sub(r"\s+", " ", said).strip() or "-"
    flat = flat.replace("|", "\\|") if table else flat
    longest = max((len(run) for run in re.findall("`+", flat)), default=0)
    fence, space = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{space}{flat}{space}{fence}"


def _joined(parts: Sequence[str]) -> str:
    """Paragraphs with an empty line between, items of one list without."""
    out = ""
    for part in filter(None, parts):
        out += (
            "\n" if out.rpartition("\n\n")[2].startswith("- ") and part.startswith("- ") else "\n\n" if out else ""
        ) + part
    return out + "\n"
