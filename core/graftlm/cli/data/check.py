"""``graftlm data check``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graftlm.cli.run_options import setting_option
from graftlm.contracts.config import SETTINGS
from graftlm.contracts.errors import DataError, GraftlmError, Interrupted, UsageError

from .check_request import PROMPTING, SPLITTING
from .reading import reading_options

if TYPE_CHECKING:
    from graftlm.checking.report import DataReport
    from graftlm.cli.progress import Progress

KINDS = {"val_split": float, "test_split": float, "max_length": int, "allow_template_mismatch": bool}


def settings_options(command: Any) -> Any:
    """The settings of a run that matter here, as ``graftlm train`` takes them."""
    for name in reversed(("model", *PROMPTING, *SPLITTING)):
        command = setting_option(name, SETTINGS[name], KINDS.get(name, str) | None)(command)
    return command


@click.command()
@click.argument("data")
@settings_options
@reading_options
@click.option(
    "--near",
    type=float,
    default=0.85,
    show_default=True,
    metavar="X",
    help="Similarity from which two rows are near duplicates, from 0.5 to 1; 0 does not look for them.",
)
@click.option(
    "--picture", type=click.Path(path_type=Path), metavar="FILE.png", help="Draw how long rows are, and their turns."
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
def check(near: float, picture: Path | None, as_json: bool, **flags: Any) -> None:
    """Say what is wrong with DATA, and what it looks like.

    With --model also how long rows are in tokens, and what training would cut, leave out or not train on. DATA is split
    as 'graftlm train' with the same flags splits it. Exit code 2 where something must be mended.
    """
    from graftlm.cli.progress import Progress

    try:
        _refuse(near, picture)
        with Progress(quiet=as_json) as live:
            report = _checked(flags, near, live)
    except Interrupted:
        raise
    except GraftlmError as error:
        if not (as_json or isinstance(error, DataError)):
            raise
        _print(_refused(flags["data"], error), as_json)
        raise click.exceptions.Exit(error.exit_code) from None
    _print(report, as_json)
    if picture is not None:
        _draw(report, picture)
    if report.verdict == "errors":
        raise click.exceptions.Exit(2)


def _checked(flags: Mapping[str, Any], near: float, live: Progress) -> DataReport:
    from graftlm.checking.check import check_data

    from .check_request import prepared

    def progress(stage: str, done: int, total: int) -> None:
        stage = f"{stage}, {done:,} rows" if done and not total else stage
        live.on_event({"event": "progress", "stage": stage, "done": done, "total": total})

    return check_data(prepared(flags, near), progress)


def _refused(data: str, error: GraftlmError) -> DataReport:
    from graftlm.checking.check import refused

    return refused(data, error)


def _print(report: DataReport, as_json: bool) -> None:
    from graftlm.contracts.serial import to_json

    from .check_report import report_text

    click.echo(to_json(report) if as_json else report_text(report))


def _draw(report: DataReport, picture: Path) -> None:
    """Says on the error stream what was done, so that the report stands alone."""
    from .check_picture import save_picture

    if not report.rows:
        click.echo("no picture was drawn: there are no rows", err=True)
        return
    there = picture.exists()
    try:
        save_picture(report, picture)
    except OSError as error:
        raise UsageError(f"--picture {picture} cannot be written: {error.strerror or error}") from None
    click.echo(f"picture written to {picture}" + (" (over the one that was there)" if there else ""), err=True)


def _refuse(near: float, picture: Path | None) -> None:
    """What can be told before anything is read."""
    from importlib.util import find_spec

    if near and not 0.5 <= near <= 1:
        raise UsageError(f"--near is {near:g}, and must be from 0.5 to 1, or 0 to look for no near duplicates")
    for module, wanted in (("numpy", True), ("matplotlib", picture is not None)):
        if wanted and find_spec(module) is None:
            raise UsageError(f"'graftlm data check' needs {module} (run: pip install 'graftlm[data]')")
    if picture is not None:
        if picture.suffix.lower() != ".png":
            raise UsageError(f"--picture {picture} must end in .png")
        if not picture.parent.is_dir():
            raise UsageError(f"--picture {picture}: there is no folder {picture.parent}")
        if picture.is_dir() or not os.access(picture if picture.exists() else picture.parent, os.W_OK):
            what = "it is a folder" if picture.is_dir() else "this place is read-only for you"
            raise UsageError(f"--picture {picture} cannot be written: {what}")
