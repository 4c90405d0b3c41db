"""``graftlm data``: look at data, and make data of data."""

from __future__ import annotations

import click

from graftlm.cli.lazy import LazyGroup

COMMANDS = {
    "check": ("graftlm.cli.data.check:check", "Say what is wrong with DATA, and what it looks like"),
    "preview": ("graftlm.cli.data.preview:preview", "Show samples as tokens: trained, not trained, control"),
    "split": ("graftlm.cli.data.split:split", "Write train, validation and test files, stable when DATA grows"),
    "convert": ("graftlm.cli.data.convert:convert", "Write DATA in another format"),
    "mix": ("graftlm.cli.data.mix:mix", "Mix several data sets by weight, each a capability"),
}


@click.group(cls=LazyGroup, commands_by_name=COMMANDS)
def data() -> None:
    """Look at data, and make data of data.

    DATA is a file (JSON, JSONL, CSV, TSV, Parquet, Arrow, text; also .gz and .zst), a folder, a glob, - for standard
    input, or hf:OWNER/NAME.
    """
