"""``graftlm eval``."""

from __future__ import annotations

from typing import Any

import click

from .judging_options import judging_flags


@click.command()
@click.argument("data", required=False)
@judging_flags
@click.option(
    "--rows", type=click.Choice(("all", "test", "validation", "train")), default=None,
    help="Which rows are scored.  [default: the test rows of a folder that has them apart, else all]",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the evaluations as a JSON list, and nothing else.")
def evaluate(
    data: str | None,
    models: tuple[str, ...],
    adapters: tuple[str, ...],
    assignments: tuple[str, ...],
    rows: str | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Score models and adapters on the rows of DATA.

    Each answers every row; the evaluators score the answers, with 95% intervals. Several are compared with the first,
    row by row. Answers are kept: the same command again is at once, and a stopped one goes on. What an adapter gets
    is kept with it.

    With --evaluator lm-eval, DATA is a folder of tasks of lm-evaluation-harness, or is left out and --set
    evaluator.tasks=NAME,… names some of the harness's own. Their code runs on this machine.
    """
    import json

    from graftlm.contracts.errors import Interrupted
    from graftlm.contracts.serial import to_builtins
    from graftlm.judging.evaluating import evaluate as carry_out
    from graftlm.running.stopping import interrupted
    from graftlm_registry.plugins import registry

    from .eval_table import evaluated_text
    from .judging_options import judged_config
    from .progress import Progress

    config = judged_config(data, flags, assignments)
    try:
        with Progress(quiet=as_json) as progress:
            found = list(carry_out(config, models, adapters, rows or "", registry(), progress.on_event))
    except (Interrupted, KeyboardInterrupt) as stop:
        error = interrupted(stop) if isinstance(stop, KeyboardInterrupt) else stop
        error.args = (f"{error}; what was answered is kept, and the same command goes on",)
        raise error from None
    if as_json:
        click.echo(json.dumps([
            {
                **to_builtins(each.record),
                "folders": {s.task.name: str(s.folder) for s in each.scored},
                "kept": str(each.kept) if each.kept else None,
            }
            for each in found
        ]))  # fmt: skip
    else:
        click.echo(evaluated_text(found))
