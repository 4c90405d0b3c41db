"""A report as one self-contained page: the table is written here, and its script sorts it and draws the charts."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from graftlm.comparing.model import CellReport, Measure, Report
from graftlm.contracts.serial import to_builtins, to_json

from .headline import counts, findings, gate_sentence
from .judged_page import judged_group, judged_sections, sentences, state
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
    standing,
    usable,
    words,
)

_SCRIPTS = ("draw.js", "charts.js", "page.js")
_BENCH = {
    "tool": "graftlm bench",
    "cells": "Cells",
    "how": "Medians over rounds, with the least and the greatest. Ratios are paired within rounds, "
    "with a 95% bootstrap\ninterval. A cell that does not pass the parity gate gets none.",
    "unscripted": "All their figures stand in the table above.",
}
_COMPARE = {
    "tool": "graftlm compare",
    "cells": "Speed and memory",
    "how": "What each cell took, the best first. A click on a name shows what really ran.",
    "unscripted": "All their figures stand in the table above, and the charts of scores need none.",
}
_SENTENCES = 8  # more of them stand behind a click


def page(report: Report) -> str:
    """The same report gives the same bytes. Nothing is loaded from anywhere, and the page says so to the browser: only
    the script and the style that stand in it may run.
    """
    judged, shown = report.judgement, columns(report)
    found = groups(report) if judged is None else (judged_group(report, judged),)
    short = labels(report, found)
    style = _asset("page.css") + (_asset("judged.css") if judged else "")
    scripts = _SCRIPTS if judged is None else (*_SCRIPTS, "judged.js")
    script = "(() => {\n'use strict';\n" + "\n".join(_asset(name) for name in scripts) + "\n})();"
    parts = {
        **(_BENCH if judged is None else _COMPARE),
        "title": escape(report.title),
        "policy": f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}",
        "style": style,
        "script": script,
        "data": _inlined(_view(report, found, shown, short)),
        "created": escape(report.created),
        "rounds": _rounds(report),
        "findings": _findings(report, found, shown, short) if judged is None else sentences(report, judged),
        "counts": _counts(report),
        "gate": escape(gate_sentence(report)) if judged is None else "",
        "judged": "" if judged is None else "\n" + judged_sections(report, judged, short),
        "about": _pairs(report.about),
        "head": _head(report, shown),
        "rows": "\n".join(_group(report, number, group, shown) for number, group in enumerate(found)),
        "settings": _pairs(report.settings),
        "notes": "".join(f"<li>{escape(note)}</li>" for note in report.notes),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _asset("page.html"))


def _asset(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _inlined(value: Any) -> str:
    """JSON that cannot end the element that it stands in, nor begin another."""
    escapes = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
    return re.sub("[<>&\u2028\u2029]", lambda found: escapes[found[0]], to_json(value).decode())


def _view(report: Report, found: Sequence[Group], shown: Columns, short: Sequence[str]) -> Any:
    """What the charts draw. Ratios that may not be shown do not reach the page; series are rounded for it."""
    value = to_builtins(report)
    for cell, told, label in zip(report.cells, value["cells"], short, strict=True):
        told["label"] = label
        told["standing"], told["tone"] = _standing(report, cell)
        told["comparable"] = cell.comparable and cell.status in ("finished", "unfinished")
        told["ratios"] = {
            one.name: told["ratios"][one.name] for one in report.measures if usable(cell, one) is not None
        }
        if report.judgement is not None:
            told["comparable"], told["ratios"] = cell.status == "finished", {}
        for series in ("step_seconds", "losses"):
            told[series] = [float(f"{one:.6g}") if math.isfinite(one) else None for one in getattr(cell, series)]
    names = {"speed": shown.speed, "memory": shown.memory, "first_step": shown.first_step, "loss": shown.loss}
    return {
        "cells": value["cells"],
        "measures": value["measures"],
        "sweeps": value["sweeps"],
        "groups": [{"title": one.title, "baseline": one.baseline, "cells": one.cells} for one in found],
        "columns": {name: one.name if one else None for name, one in names.items()},
        **({"judged": True} if report.judgement is not None else {}),
    }


def _standing(report: Report, cell: CellReport) -> tuple[str, str]:
    return standing(cell) if report.judgement is None else state(cell)


def _rounds(report: Report) -> str:
    if report.judgement is not None and report.rounds == 1:
        return f"speeds without the first {'step' if report.warmup == 1 else f'{report.warmup} steps'}"
    rounds = "1 round" if report.rounds == 1 else f"{report.rounds} interleaved rounds"
    return f"{rounds} · {report.warmup} warm-up {'step' if report.warmup == 1 else 'steps'} left out"


def _findings(report: Report, found: Sequence[Group], shown: Columns, short: Sequence[str]) -> str:
    figures = {True: "≈", False: "–"}
    told = [
        f'<li><span class="figure">{f"{escape(one.figure)}<i>×</i>" if one.figure else figures[one.level]}</span>'
        f'<span><span class="where">{escape(one.title)}</span> {_unbroken(one.said)}</span></li>'
        for one in findings(report, found, shown, short)
    ]
    rest = told[_SENTENCES:]
    more = f"<details><summary>{len(rest)} more</summary><ul>{''.join(rest)}</ul></details>" if rest else ""
    return f"<ul>{''.join(told[:_SENTENCES])}</ul>{more}"


def _unbroken(said: str) -> str:
    """With intervals that stay on one line."""
    return escape(re.sub(r"(?<=\d) to (?=\d)", "\u00a0to\u00a0", said))


def _counts(report: Report) -> str:
    tones = dict(_standing(report, cell) for cell in report.cells)
    found = counts(report)
    if report.judgement is not None:
        stands: list[str] = [cell.status for cell in report.cells]
        found = {name: stands.count(name) for name in tones}
    return "".join(f'<li class="{tones[name]}"><b>{n}</b> {escape(name)}</li>' for name, n in found.items())


def _pairs(told: Mapping[str, str]) -> str:
    return "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in told.items() if v)


def _head(report: Report, shown: Columns) -> str:
    made = [("name", "Cell")] + ([("standing", _standing_head(report))] if _standing_head(report) else [])
    if shown.speed is not None:
        made += [("speed", heading(shown.speed)), *([("ratio", "Ratio")] if report.judgement is None else [])]
    for key, measure in _others(shown):
        made.append((key, heading(measure)))
    made += [("gate", "Checks")] if _checked(report) else []
    made += [("why", "Reason")] if made[-1][0] == "standing" else []
    return "".join(f'<th scope="col" data-key="{key}">{escape(said)}</th>' for key, said in made)


def _standing_head(report: Report) -> str:
    """Of a judged report, how cells ended; empty where all of them finished."""
    if report.judgement is None:
        return "Compared as"
    return "State" if any(cell.status != "finished" for cell in report.cells) else ""


def _checked(report: Report) -> bool:
    """Whether checks have a column: in a judged report where a cell failed one."""
    return report.judgement is None or any(not check.passed for cell in report.cells for check in cell.checks)


def _others(shown: Columns) -> list[tuple[str, Measure]]:
    found = {"memory": shown.memory, "first_step": shown.first_step, "loss": shown.loss}
    return [(key, measure) for key, measure in found.items() if measure is not None]


def _group(report: Report, number: int, group: Group, shown: Columns) -> str:
    wide = _head(report, shown).count("<th ")
    base = report.cells[group.baseline].name if group.baseline is not None else ""
    beside = f' <span class="beside">ratios to {escape(base)}</span>' if base else ""
    rows = "\n".join(_row(report, which, shown, wide) for which in group.cells)
    head = f'<tr class="group"><th colspan="{wide}" scope="rowgroup">{escape(group.title)}{beside}</th></tr>'
    return f'<tbody data-group="{number}">{head if group.title else ""}\n{rows}\n</tbody>'


def _row(report: Report, which: int, shown: Columns, wide: int) -> str:
    cell, bench = report.cells[which], report.judgement is None
    said, tone = _standing(report, cell)
    why = f'<div class="reason">{escape(cell.reason)}</div>' if cell.reason else ""
    reason = why if cell.figures else ""
    if bench and cell.relation == "another computation" and cell.computation in report.computations:
        reason = f'<div class="reason">{escape(report.computations[cell.computation])}</div>' + reason
    out = [f'<th scope="row" data-key="name"><span class="name">{escape(cell.name)}</span>{reason}</th>']
    if stands := _standing_head(report):
        badge = f'<span class="badge {tone}">{escape(said)}</span>'
        out.append(f'<td data-key="standing" data-name="{stands}">{badge}</td>')
    details = f'<tr class="more" data-of="{which}"><td colspan="{wide}">{_details(report, cell)}</td></tr>'
    if not cell.figures:
        out.append(f'<td class="why" colspan="{wide - len(out)}">{why}</td>')
        return f'<tr class="cell {tone}" data-cell="{which}">{"".join(out)}</tr>\n{details}'
    if shown.speed is not None:
        out += [_figure(cell, "speed", shown.speed, spread=True), *([_ratio(cell, shown.speed)] if bench else [])]
    out += [_figure(cell, key, measure) for key, measure in _others(shown)]
    if _checked(report):
        out.append(_gate(cell))
    return f'<tr class="cell {tone}" data-cell="{which}">{"".join(out)}</tr>\n{details}'


def _gate(cell: CellReport) -> str:
    passed, total = sum(check.passed for check in cell.checks), len(cell.checks)
    short = f"{passed} of {total}" if total else "–"
    told = "bad" if passed < total else "good" if total else "none"
    return (
        f'<td data-key="gate" data-name="Checks" data-value="{passed / total if total else ""}" '
        f'title="{escape(gate(cell))}"><span class="{told}">{short}</span></td>'
    )


def _figure(cell: CellReport, key: str, measure: Measure, spread: bool = False) -> str:
    figure = cell.figures.get(measure.name)
    name = escape(heading(measure))
    if figure is None:
        return f'<td class="number none" data-key="{key}" data-name="{name}">–</td>'
    value = repr(figure.median) if math.isfinite(figure.median) else ""
    middle, _, rest = amount(cell, measure, spread).partition(" (")
    small = f"<small>{escape(rest.removesuffix(')'))}</small>" if rest else ""
    start = f'<td class="number" data-key="{key}" data-name="{name}" data-value="{value}">'
    return f"{start}<b>{escape(middle)}</b>{small}</td>"


def _ratio(cell: CellReport, measure: Measure) -> str:
    start = '<td class="number" data-key="ratio" data-name="Ratio"'
    if cell.relation == "baseline" and cell.figures and cell.status in ("finished", "unfinished"):
        return f'{start} data-value="1"><b>1</b><small>baseline</small></td>'
    ratio = usable(cell, measure)
    if ratio is None:
        return '<td class="number none" data-key="ratio" data-name="Ratio">–</td>'
    middle, _, rest = interval(ratio).partition(" (")
    bounds = escape(rest.removesuffix(")")) or "no interval"
    return (
        f'{start} data-value="{ratio.median!r}" title="{escape(ratio.said)}"><b>{middle}</b><small>{bounds}</small>'
        f"<small>{escape(words(ratio)) if not words(ratio)[:1].isdigit() else ''}</small></td>"
    )


def _details(report: Report, cell: CellReport) -> str:
    known = {one.name: one for one in report.measures}
    figures = {heading(known[name]): amount(cell, known[name], spread=True) for name in cell.figures if name in known}
    ratios = {heading(one): ratio.said for one in report.measures if (ratio := usable(cell, one)) is not None}
    checks = "".join(
        f'<li class="{"good" if one.passed else "bad"}"><b>{"passed" if one.passed else "not passed"}</b> '
        f"{escape(one.name)}: {escape(one.said)}</li>"
        for one in cell.checks
    )
    parts = [f'<section><h4>Checks</h4><ul class="checks">{checks}</ul></section>' if checks else ""]
    for title, told in (
        ("What really ran", cell.ran),
        (f"Measured in {cell.rounds} {'round' if cell.rounds == 1 else 'rounds'}", figures),
        ("Beside the baseline", ratios if report.judgement is None else {}),
        ("Settings", cell.settings),
    ):
        parts.append(f"<section><h4>{title}</h4><dl>{_pairs(told)}</dl></section>" if told else "")
    return f'<div class="parts">{"".join(parts)}</div>'
