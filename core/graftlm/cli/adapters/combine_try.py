"""``graftlm adapters combine --try``."""

from __future__ import annotations

import json

import click


def carry_out_try(
    given: tuple[str, ...],
    combinations: tuple[str, ...],
    rank: int | None,
    density: float | None,
    seed: int | None,
    name: str,
    as_json: bool,
) -> None:
    """Score the candidates, say which is best, and keep it where a ``name`` is given."""
    from graftlm.judging.combinations import try_all
    from graftlm.running.combine import combine
    from graftlm_registry.adapters.names import check_name
    from graftlm_registry.plugins import registry

    from ..progress import Progress
    from .combine_table import as_builtins, told, tried_as_builtins, tried_text

    if name:
        check_name(name)
    with Progress(quiet=as_json) as progress:
        trials = try_all(
            given, registry(), progress.on_event, combinations=combinations, rank=rank, density=density, seed=seed
        )
    if not as_json:
        click.echo(tried_text(trials, kept=bool(name)))
    made = None
    if name and trials.best.plan is not None:
        with Progress(quiet=as_json) as progress:
            made = combine(trials.parents, trials.best.plan, progress.on_event, registry(), name=name)
    if as_json:
        click.echo(json.dumps(tried_as_builtins(trials) | {"published": as_builtins(made) if made else None}))
    elif made:
        click.echo("\n".join(("", *told(made, scored=True))))
