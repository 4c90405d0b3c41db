"""``graftlm runs resume``."""

from __future__ import annotations

import click


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--detach", is_flag=True, help="Go on in a process of its own, which outlives this terminal.")
@click.option(
    "--other-stack",
    is_flag=True,
    help="Go on although packages, or graftlm itself, have changed since: the result may differ from what it would "
    "have been.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON at the end, and nothing else.")
def resume(run: str, detach: bool, other_stack: bool, as_json: bool) -> None:
    """Go on with a run that was stopped, that failed, or whose process was killed.

    It goes on from its newest sound checkpoint, and with the same packages it ends with the same adapter, to the last
    bit, as if it had never been stopped (on a GPU: with --deterministic).
    """
    from graftlm.running.resuming import make_ready, resume
    from graftlm.running.standing import standing
    from graftlm_registry.plugins import registry
    from graftlm_registry.runs import find_run

    from ..detaching import start_and_tell
    from ..progress import Progress
    from ..results import tell_outcome

    found = find_run(run)
    make_ready(found, any_stack=other_stack)
    if not as_json:
        click.echo(f"{found.name} ({found.plan().name}) goes on {standing(found)}")
    if detach:
        start_and_tell(found, as_json=as_json)
        return
    with Progress(quiet=as_json) as progress:
        trained = resume(found, registry(), progress.on_event, any_stack=other_stack)
    tell_outcome(trained, as_json=as_json)
