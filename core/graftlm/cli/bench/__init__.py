"""``graftlm bench``: backends measured against each other."""

from __future__ import annotations

import click

from graftlm.cli.lazy import LazyGroup

COMMANDS = {
    "run": ("graftlm.cli.bench.run:run", "Run cells in interleaved rounds, and write the report"),
    "report": ("graftlm.cli.bench.report:report", "Write the report of a folder of results anew"),
    "diff": ("graftlm.cli.bench.diff:diff", "Tell a regression from noise, between two folders of results"),
}


@click.group(cls=LazyGroup, commands_by_name=COMMANDS)
def bench() -> None:
    """Measure backends, accelerators, methods and models against each other, on the same work.

    Whatever is given several times is compared: --backend peft --backend trl --micro-batch 4 --micro-batch 8 are four
    cells. A cell gets a ratio only where it was checked that it computed the same as its baseline.
    """
