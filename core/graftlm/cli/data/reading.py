"""What every ``graftlm data`` command takes: DATA, and how it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from graftlm.data.conversations import Reading
    from graftlm.data.inputs import Inputs

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How DATA is to be read, as flags say it."""

    format: str
    columns: str
    split: str
    offline: bool


def reading_options(command: F) -> F:
    """Add ``--format --columns --split --offline``."""
    for option in (
        click.option("--offline", is_flag=True, help="Use only what is on this machine."),
        click.option("--split", default="", metavar="NAME", help="Split of a hub data set (DATA is hf:OWNER/NAME)."),
        click.option(
            "--columns",
            default="",
            metavar="FIELD=COLUMN,…",
            help="Columns of a table that are read as fields of a format, as input=question,output=reply.",
        ),
        click.option("--format", default="auto", show_default=True, metavar="NAME", help="Data format."),
    ):
        command = option(command)
    return command


def find_inputs(data: str, split: str = "", offline: bool = False) -> Inputs:
    """The files that DATA means."""
    from graftlm.data.inputs import find
    from graftlm_registry.home import home

    split = split or ("train" if data.startswith("hf:") else "")
    return find(data, split=split, offline=offline, spool=home() / "cache" / "stdin")


def how_to_read(inputs: Inputs, options: ReadingOptions) -> Reading:
    """The format that was named, or the one that fits."""
    from graftlm.contracts.specs import DataFormat
    from graftlm.data.columns import parse_columns
    from graftlm.data.conversations import Reading, detect, refuse_misfit
    from graftlm_registry.plugins import registry

    columns = parse_columns(options.columns)
    if options.format != "auto":
        reading = Reading(registry().get(DataFormat, options.format), columns)
        refuse_misfit(inputs, reading)
        return reading
    return Reading(detect(inputs, list(registry().all(DataFormat)), columns), columns)
