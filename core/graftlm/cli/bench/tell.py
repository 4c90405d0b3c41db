"""A comparison as a terminal shows it: before, while and after it runs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from graftlm.cli.progress import Progress
from graftlm.cli.tables import size, table

if TYPE_CHECKING:
    from graftlm.comparing.model import CellReport, Report
    from graftlm.comparing.resolving import PlannedCell
    from graftlm.comparing.results import ResultFolder, RunResult
    from graftlm.comparing.suite import Suite


class Telling:
    """A line a finished run; on a terminal, the run's own progress below."""

    def __init__(self, suite: Suite, quiet: bool) -> None:
        self._suite, self._quiet = suite, quiet
        self._progress = Progress(quiet=quiet or not sys.stderr.isatty())
        self._head = ""

    def __enter__(self) -> Telling:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, trace)

    def began(self, cell: PlannedCell, number: int, done: int, total: int, left: float) -> None:
        width = len(str(total))
        self._head = f"[{done + 1:{width}}/{total}] round {number}  {cell.cell.name}"
        self._left = left
        self._progress = Progress(quiet=self._quiet or not sys.stderr.isatty())

    def ended(self, result: RunResult) -> None:
        self._progress.__exit__(None, None, None)
        if self._quiet:
            return
        left = f"  (about {duration(max(0.0, self._left - result.wall_seconds))} left)"
        if result.error:
            click.echo(
                f"{self._head}  {click.style('failed', fg='red')}: {result.error.splitlines()[0]}{left}", err=True
            )
            return
        from graftlm.comparing.figures import measured

        speed = measured(result, self._suite.warmup)["tokens_per_second"]
        click.echo(f"{self._head}  {speed:,.0f} tokens/s, {result.wall_seconds:.0f} s{left}", err=True)

    def on_event(self, event: Mapping[str, Any]) -> None:
        if event["event"] != "warning":  # they are the same in every round, and stand in the logs
            self._progress.on_event(event)


def dry_table(suite: Suite, cells: Sequence[PlannedCell], folder: ResultFolder) -> str:
    """The cells with their verdicts, and about how long they will take."""
    from graftlm.comparing.cells import word
    from graftlm.comparing.estimate import run_seconds

    results = folder.read()
    finished = {(r.cell, r.round) for r in results if not r.error}
    rows, total = [], 0.0
    for cell in cells:
        if cell.plan is None or cell.problem:
            rows.append((cell.cell.name, "", click.style(cell.problem, fg="red")))
            continue
        each = run_seconds(cell, results)
        left = sum((cell.cell.name, number) not in finished for number in range(1, suite.repeat + 1))
        total += each * left
        rows.append((cell.cell.name, f"{left} × {each:.0f} s", "ok" if left else "finished"))
    basis = "from what ran already" if any(not r.error for r in results) else "a guess: nothing of it has run here"
    versus = ", ".join(f"{key.replace('_', '-')} {word(key, value)}" for key, value in suite.baseline.items())
    return (
        f"{table(rows, ('cell', 'runs', 'verdict'))}\n\n"
        f"{suite.repeat} rounds, {suite.warmup} steps of warm-up"
        f"{f', baseline {versus}' if versus else ''}: about {duration(total)} ({basis})"
    )


def without_baseline(suite: Suite, cells: Sequence[PlannedCell]) -> list[str]:
    """Sentences on baselines that cannot run: nothing is compared with them."""
    from graftlm.comparing.cells import baseline_of

    if not suite.baseline:
        return []
    named = [cell.cell for cell in cells]
    wanted = {base.name for cell in named if (base := baseline_of(cell, named, suite)) is not None}
    return [
        f"the baseline '{cell.cell.name}' cannot run, so that nothing is compared with it: {cell.problem}"
        for cell in cells
        if cell.cell.name in wanted and cell.problem
    ]


def results_table(report: Report) -> str:
    """A line a cell: speed, ratio, memory, and what the gate says."""
    blocks = [
        table(
            [_row(cell) for cell in report.cells],
            ("cell", "tokens/s", "peak memory", "first step", "against the baseline, and the gate"),
        ),
        *(slope.said + (f" ({slope.cells})" if slope.cells else "") for s in report.sweeps for slope in s.slopes),
        *(f"{click.style('note', fg='yellow')}: {note}" for note in report.notes),
    ]
    return "\n\n".join(blocks)


def _row(cell: CellReport) -> tuple[str, ...]:
    figures = cell.figures
    speed = f"{figures['tokens_per_second'].median:,.0f}" if "tokens_per_second" in figures else ""
    memory = size(int(figures["peak_memory"].median)) if "peak_memory" in figures else ""
    first = f"{figures['first_step_seconds'].median:.1f} s" if "first_step_seconds" in figures else ""
    return (cell.name, speed, memory, first, _said(cell))


def _said(cell: CellReport) -> str:
    if not cell.figures:
        return click.style(f"{cell.status}: {cell.reason}", fg="red" if cell.status == "failed" else None)
    passed = sum(check.passed for check in cell.checks)
    verdict = f"{passed} of {len(cell.checks)} checks"
    if cell.relation == "not comparable":
        return click.style(f"not comparable: {cell.reason}", fg="red")
    ratio = cell.ratios.get("tokens_per_second")
    said = f"{ratio.said}; " if ratio else f"{cell.relation}; " if cell.relation == "baseline" else ""
    other = "another computation; " if cell.relation == "another computation" else ""
    reason = f"; {cell.reason}" if cell.reason else ""
    return f"{other}{said}{verdict}{reason}"


def duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
