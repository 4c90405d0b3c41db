"""``graftlm data check``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from graftlm.cli.run_options import _option
from graftlm.contracts.config import SETTINGS
from graftlm.contracts.errors import DataError, UsageError

from .check_request import PROMPTING, SPLITTING, prepared
from .reading import reading_options

KINDS = {"val_split": float, "test_split": float, "max_length": int, "allow_template_mismatch": bool}


def settings_options(command: Any) -> Any:
    """The settings of a run that matter here, as ``graftlm train`` takes them."""
    for name in reversed(("model", *PROMPTING, *SPLITTING)):
        command = _option(name, SETTINGS[name], KINDS.get(name, str) | None)(command)
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
    _refuse(near, picture)
    from graftlm.checking.check import check_data, unreadable
    from graftlm.cli.progress import Progress
    from graftlm.contracts.serial import to_json

    from .check_picture import save_picture
    from .check_report import report_text

    with Progress(quiet=as_json) as live:

        def progress(stage: str, done: int, total: int) -> None:
            stage = f"{stage}, {done:,} rows" if done and not total else stage
            live.on_event({"event": "progress", "stage": stage, "done": done, "total": total})

        try:
            report = check_data(prepared(flags, near), progress)
        except DataError as error:
            report = unreadable(flags["data"], error)
    click.echo(to_json(report) if as_json else report_text(report))
    if picture is not None and report.rows:
        save_picture(report, picture)
    if report.verdict == "errors":
        raise click.exceptions.Exit(2)


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
