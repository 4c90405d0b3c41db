"""``graftlm bench run``."""

from __future__ import annotations

import json
import math
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from graftlm.cli.run_options import repeatable_options
from graftlm.contracts.config import EXCLUSIVE

if typing.TYPE_CHECKING:
    from graftlm.comparing.suite import Suite
    from graftlm.contracts.errors import Interrupted

OWN = ("data", "name", "out", "track")
"""Settings of a run that are said otherwise here, or not at all."""


@click.command()
@click.argument("data", nargs=-1)
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="YAML: base, matrix, exclude, include …")
@click.option("--repeat", type=click.IntRange(1), metavar="K", help="Rounds, each with every cell once. [default: 5]")
@click.option(
    "--warmup-steps", type=click.IntRange(0), metavar="N", help="First steps that are not measured. [default: 3]"
)
@click.option("--baseline", multiple=True, metavar="SETTING=VALUE", help="What the others are compared with.")
@click.option("--sweep", multiple=True, metavar="SETTING=V,V,…", help="Let the work grow, and fit how its cost grows.")
@click.option("--set", "assignments", multiple=True, metavar="KIND.NAME=VALUE", help="An option of a plugin.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of the results. [default: bench/NAME]"
)
@click.option(
    "--stop-after", type=click.FloatRange(min=0, min_open=True), metavar="MINUTES", help="Begin no run that ends later."
)
@click.option("--dry-run", is_flag=True, help="Say what would run, and for how long.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and nothing else.")
@repeatable_options(OWN)
def run(
    data: tuple[str, ...],
    config_file: Path | None,
    repeat: int | None,
    warmup_steps: int | None,
    baseline: tuple[str, ...],
    sweep: tuple[str, ...],
    assignments: tuple[str, ...],
    out: Path | None,
    stop_after: float | None,
    dry_run: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Compare what is given several times, on DATA (several of them are compared, too).

    Each cell trains in processes of its own, every round has every cell once. What is finished is kept in --out as it
    comes: the same command goes on where it was stopped. Where nothing else is said, a run has 20 steps, one
    validation at its end, and is not scored; --evaluator or --test-data has it scored.
    """
    from graftlm.cli.bench.tell import Telling, dry_table, results_table, without_baseline
    from graftlm.comparing.cells import cells_of
    from graftlm.comparing.report.files import write_report
    from graftlm.comparing.resolving import planned
    from graftlm.comparing.results import ResultFolder
    from graftlm.comparing.rounds import check_steps, run_rounds
    from graftlm.contracts.errors import Interrupted, UsageError
    from graftlm_registry.plugins import registry

    if dry_run and as_json:
        raise UsageError("--dry-run prints a table: leave --json out")
    chosen = _suite({"data": data, **flags}, config_file, repeat, warmup_steps, baseline, sweep, assignments)
    cells = [planned(cell, registry()) for cell in cells_of(chosen)]
    root = out or Path("bench") / chosen.title
    for sentence in without_baseline(chosen, cells):
        click.echo(f"Warning: {sentence}", err=True)
    if dry_run:
        check_steps(chosen, cells)
        click.echo(dry_table(chosen, cells, ResultFolder(root)))
        return
    try:
        with Telling(chosen, quiet=as_json) as telling:
            left = run_rounds(chosen, cells, root, registry(), telling, minutes=stop_after or math.inf)
    except (Interrupted, KeyboardInterrupt) as stop:
        raise kept(stop, root) from None
    report, written = write_report(root)
    if as_json:
        click.echo(json.dumps(report.to_builtins()))
    else:
        click.echo(results_table(report))
        click.echo(f"\nwritten: {', '.join(map(str, written))}")
        if left:
            click.echo(f"{left} runs are left: the same command goes on")
    if any(cell.status == "failed" for cell in report.cells):
        raise click.exceptions.Exit(1)


def kept(stop: Interrupted | KeyboardInterrupt, root: Path) -> Interrupted:
    """What an interrupted comparison leaves, in its words."""
    from graftlm.running.stopping import interrupted

    error = interrupted(stop) if isinstance(stop, KeyboardInterrupt) else stop
    error.args = (f"{error}; what is finished is kept in {root}, and the same command goes on",)
    return error


def _suite(
    flags: Mapping[str, Any],
    config_file: Path | None,
    repeat: int | None,
    warmup: int | None,
    baseline: tuple[str, ...],
    sweep: tuple[str, ...],
    assignments: tuple[str, ...],
) -> Suite:
    """Flags over the file; what was given several times varies."""
    from graftlm.cli.bench.words import chosen, swept
    from graftlm.cli.run_options import with_assignments
    from graftlm.comparing.cells import word
    from graftlm.comparing.suite import Suite, suite
    from graftlm.comparing.suite_file import read_suite
    from graftlm.contracts.errors import UsageError

    known = read_suite(config_file) if config_file else Suite(title="", base={}, matrix={})
    given = {name: values for name, values in flags.items() if values}
    if "-" in given.get("data", ()):
        raise UsageError("standard input can be read once, and every cell needs the data: give a file")
    grown = swept(sweep)
    for name in grown.keys() & given.keys():
        raise UsageError(f"--{name.replace('_', '-')} is swept, too: leave one of them out")
    dropped = {other for pair in EXCLUSIVE for one, other in (pair, pair[::-1]) if one in {**given, **grown}}
    base = {name: value for name, value in known.base.items() if name not in given and name not in dropped}
    if options := with_assignments(base.get("options") or {}, assignments):
        base["options"] = options
    data = given.get("data") or known.matrix.get("data") or (known.base.get("data", "bench"),)
    title = known.title or "-".join(word("data", name) for name in data[:3])
    return suite(
        title=title,
        base=base,
        matrix={**known.matrix, **given, **grown},
        baseline=chosen("--baseline", baseline)
        or (known.baseline if not given.keys() & known.baseline.keys() else {})
        or None,
        exclude=known.exclude,
        include=known.include,
        sweeps=tuple(dict.fromkeys((*known.sweeps, *grown))),
        repeat=repeat or known.repeat,
        warmup=known.warmup if warmup is None else warmup,
        tolerance=known.tolerance,
        answers=known.answers,
    )
