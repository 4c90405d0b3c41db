"""``graftlm train``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .run_options import run_config, run_options


@click.command()
@run_options
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON at the end, and nothing else.")
def train(
    data: str | None, config_file: Path | None, assignments: tuple[str, ...], as_json: bool, **flags: Any
) -> None:
    """Train an adapter on DATA, prove it, score it on unseen rows, and keep it."""
    from graftlm.planning.resolve import resolve
    from graftlm.running.train import carry_out, refuse
    from graftlm_registry.plugins import registry

    from .plan_table import precision
    from .progress import Progress
    from .results import outcome_json, outcome_text

    config = run_config(data, config_file, assignments, flags)
    plan = resolve(config, registry())
    refuse(plan)
    if not as_json:
        training = plan.training
        click.echo(
            f"{plan.name}: {plan.method.name} on {plan.model.name} with {plan.part('backend').name}, "
            f"{plan.data.splits[0].rows} rows, {training.steps} steps of {training.step_size}, "
            f"learning rate {training.learning_rate:g}, {precision(plan.load)} on {plan.device}"
        )
    with Progress(quiet=as_json) as progress:
        trained = carry_out(plan, registry(), progress.on_event, out=Path(config.out) if config.out else None)
    click.echo(outcome_json(trained) if as_json else outcome_text(trained))
    if trained.verdict is not None and not trained.verdict.passed:
        raise click.exceptions.Exit(1)
