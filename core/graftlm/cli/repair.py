"""``graftlm repair``."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("name")
@click.option("--skill", required=True, metavar="DATA", help="Rows of what was lost.")
@click.option("--skill-ratio", default=0.5, show_default=True, help="Their share of the training rows.", type=float)
@click.option("--data", default="", metavar="DATA", help="The adapter's own data, where it has been moved.")
@click.option("--epochs", type=float, metavar="X", help="Passes over the rows.")
@click.option("--max-steps", "--steps", type=int, metavar="N", help="Steps.  [default: half of the first round's]")
@click.option("--learning-rate", type=float, metavar="X", help="Peak.  [default: half of the first round's]")
@click.option("--backend", metavar="NAME", help="What trains.  [default: peft]")
@click.option("--seed", type=int, metavar="N", help="Seed of the order.  [default: 0]")
@click.option("--max-forgetting", type=float, metavar="X", help="As of 'train'.")
@click.option("--as", "kept_as", metavar="NAME", help="Keep it under another name.  [default: a new version of NAME]")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON at the end, and nothing else.")
def repair(
    name: str,
    skill: str,
    skill_ratio: float,
    data: str,
    epochs: float | None,
    max_steps: int | None,
    learning_rate: float | None,
    backend: str | None,
    seed: int | None,
    max_forgetting: float | None,
    kept_as: str | None,
    as_json: bool,
) -> None:
    """Bring back what the adapter NAME forgot, and keep what it learned.

    It is trained on with its own data and the rows of --skill mixed; the result is a new version, and NAME's versions
    stay as they are. Unseen rows stay unseen. The table says of each skill what the base, the adapter and the repaired
    one know.
    """
    from graftlm.contracts.serial import to_builtins
    from graftlm.running.repair import repair_plan, repaired
    from graftlm.running.train import carry_out, refuse
    from graftlm_registry.adapters import open_store
    from graftlm_registry.plugins import registry

    from .forgetting import forgetting_lines
    from .progress import Progress
    from .repair_table import repair_table
    from .results import file_lines

    parent = open_store().get(name)
    plan = repair_plan(
        parent, skill, registry(), data=data, ratio=skill_ratio, epochs=epochs, max_steps=max_steps,
        learning_rate=learning_rate, backend=backend, seed=seed, max_forgetting=max_forgetting, name=kept_as,
    )  # fmt: skip
    refuse(plan)
    if not as_json:
        rows = plan.data.splits[0].rows
        click.echo(
            f"{parent.reference} goes on: {rows} rows, {plan.data.replayed} of them of {skill}, {plan.training.steps} "
            f"steps of {plan.training.step_size}, learning rate {plan.training.learning_rate:g}"
        )
    with Progress(quiet=as_json) as progress:
        trained = carry_out(plan, registry(), progress.on_event)
    found = repaired(parent, trained.record)
    if as_json:
        told = {"adapter": trained.record.reference, "parent": parent.reference, "skills": to_builtins(found)}
        click.echo(json.dumps({**told, "outcome": to_builtins(trained.outcome)}))
    else:
        click.echo(repair_table(found, parent.reference, trained.record.reference))
        lines = forgetting_lines(trained.outcome.changes, trained.record.name)
        click.echo("\n" + "\n".join([*lines, *([trained.verdict.said] if trained.verdict else [])]))
        click.echo("\n".join([f"kept as {trained.record.reference}", *file_lines(trained.run)]))
    if trained.verdict is not None and not trained.verdict.passed:
        raise click.exceptions.Exit(1)
