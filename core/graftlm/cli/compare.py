"""``graftlm compare``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import click

from .run_options import repeatable_options, with_assignments

OWN = ("data", "name", "out", "data_size", "track")
"""Settings of a run that are said otherwise here, or not at all."""


@click.command()
@click.argument("data")
@click.option("--data-size", multiple=True, metavar="N,N,…", help="Training rows, several: how much more would help.")
@click.option("--each-capability", is_flag=True, help="All capabilities at once, against an adapter for each.")
@click.option(
    "--weigh", multiple=True, metavar="WHAT=X,…",
    help="What makes the best: new, old, forgetting, speed, memory, size.  [default: new=1,old=0.5,forgetting=0.5]",
)  # fmt: skip
@click.option("--set", "assignments", multiple=True, metavar="KIND.NAME=VALUE", help="An option of a plugin.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of the results.  [default: compare/NAME]"
)
@click.option(
    "--stop-after", type=click.FloatRange(min=0, min_open=True), metavar="MINUTES", help="Begin no run that ends later."
)
@click.option("--dry-run", is_flag=True, help="Say what would run, and for how long.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and nothing else.")
@repeatable_options(OWN)
def compare(
    data: str,
    data_size: tuple[str, ...],
    each_capability: bool,
    weigh: tuple[str, ...],
    assignments: tuple[str, ...],
    out: Path | None,
    stop_after: float | None,
    dry_run: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Train what is given several times on DATA, and say what was learned and what it cost.

    As --model A --model B, --method lora --method full, --rank 4 --rank 64, --data-size 50,100,200: every cell is
    trained as 'train' does, on the same rows, and scored on the same unseen ones. Adapters are kept in the store, all
    else in --out as it comes: the same command goes on where it was stopped, and nothing is trained twice.
    """
    from graftlm.cli.bench.run import kept
    from graftlm.cli.bench.tell import Telling, dry_table
    from graftlm.comparing.cells import cells_of
    from graftlm.comparing.judged_suite import judged_suite
    from graftlm.comparing.report.files import write_report
    from graftlm.comparing.resolving import planned
    from graftlm.comparing.results import ResultFolder
    from graftlm.comparing.rounds import check_steps, run_rounds
    from graftlm.comparing.weighing import weights_of
    from graftlm.contracts.errors import Interrupted, UsageError
    from graftlm_registry.plugins import registry

    from .judgement_table import judgement_text

    if dry_run and as_json:
        raise UsageError("--dry-run prints a table: leave --json out")
    suite = judged_suite(
        data, {**flags, "data_size": _sizes(data_size)}, weights_of(weigh), registry(),
        options=with_assignments({}, assignments), each_capability=each_capability,
    )  # fmt: skip
    cells = [planned(cell, registry(), judges=True) for cell in cells_of(suite)]
    root = out or Path("compare") / suite.title
    if dry_run:
        check_steps(suite, cells)
        click.echo(dry_table(suite, cells, ResultFolder(root)))
        return
    try:
        with Telling(suite, quiet=as_json) as telling:
            left = run_rounds(suite, cells, root, registry(), telling, minutes=stop_after or math.inf)
    except (Interrupted, KeyboardInterrupt) as stop:
        raise kept(stop, root) from None
    report, written = write_report(root)
    if as_json:
        click.echo(json.dumps(report.to_builtins()))
    else:
        click.echo(judgement_text(report, root))
        click.echo(f"\nwritten: {', '.join(map(str, written))}")
        if left:
            click.echo(f"{left} runs are left: the same command goes on")
    if any(cell.status == "failed" for cell in report.cells):
        raise click.exceptions.Exit(1)


def _sizes(words: tuple[str, ...]) -> tuple[int, ...]:
    """``50,100``, or each by itself."""
    from graftlm.contracts.errors import UsageError

    found = [word.strip() for each in words for word in each.split(",")]
    for word in found:
        if not word.isdigit() or not int(word):
            raise UsageError(f"--data-size {word} is not a number of rows, as in --data-size 50,100,200")
    return tuple(int(word) for word in found)
