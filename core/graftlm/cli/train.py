"""``graftlm train``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .run_options import run_config, run_options


@click.command()
@run_options
@click.option(
    "--detach", is_flag=True, help="Train in a process of its own, which outlives this terminal (graftlm runs)."
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON at the end, and nothing else.")
def train(
    data: str | None,
    config_file: Path | None,
    assignments: tuple[str, ...],
    detach: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Train an adapter on DATA, prove it, score it on unseen rows, and keep it.

    A run that is stopped (Ctrl-C), or killed, goes on with 'graftlm runs resume last'.
    """
    from graftlm.planning.resolve import resolve
    from graftlm.running.train import carry_out, prepare, refuse
    from graftlm_registry.plugins import registry

    from .detaching import start_and_tell
    from .plan_table import precision
    from .progress import Progress
    from .results import tell_outcome

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
    out = Path(config.out) if config.out else None
    if detach:
        start_and_tell(prepare(plan, registry(), out), as_json=as_json)
        return
    with Progress(quiet=as_json) as progress:
        trained = carry_out(plan, registry(), progress.on_event, out=out)
    tell_outcome(trained, as_json=as_json)
