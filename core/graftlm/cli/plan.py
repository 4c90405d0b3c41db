"""``graftlm plan``: what will happen, before anything does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .run_options import run_config, run_options


@click.command()
@run_options
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def plan(data: str | None, config_file: Path | None, assignments: tuple[str, ...], as_json: bool, **flags: Any) -> None:
    """Say what 'train' with the same flags will do.

    Nothing is loaded or trained. Exit code 2 where something speaks against the plan.
    """
    from graftlm.contracts.serial import to_json
    from graftlm.planning.resolve import resolve
    from graftlm_registry.plugins import registry

    resolved = resolve(run_config(data, config_file, assignments, flags), registry())
    if as_json:
        click.echo(to_json(resolved))
    else:
        from .plan_table import plan_table

        click.echo(plan_table(resolved))
    if resolved.problems:
        raise click.exceptions.Exit(2)
