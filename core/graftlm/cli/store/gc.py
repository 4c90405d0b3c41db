"""``graftlm store gc``."""

from __future__ import annotations

import click


@click.command()
@click.option(
    "--grace",
    default=14.0,
    show_default=True,
    type=click.FloatRange(0),
    metavar="DAYS",
    help="How long the trash keeps.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def gc(grace: float, as_json: bool) -> None:
    """Throw away what no adapter needs any more: files of removed versions, and what dead processes left behind.

    Files go to the trash first, and are deleted DAYS later, by a gc that is run then. Adapters can be published at the
    same time.
    """
    from datetime import timedelta

    from graftlm.contracts.serial import to_builtins, to_json
    from graftlm_registry.adapters import open_store
    from graftlm_registry.adapters.collecting import collect
    from graftlm_registry.adapters.layout import explained

    from ..tables import size

    store = open_store()
    if not store.root.exists():
        click.echo("there is no store yet")
        return
    store.prepare()
    with explained(store.root):
        done = collect(store.layout, timedelta(days=grace))
    if as_json:
        click.echo(to_json(to_builtins(done)))
        return
    for count, what in (
        (len(done.restored), "put back, as a record names them"),
        (len(done.thrown), f"thrown into the trash, which keeps them for {grace:g} days"),
        (len(done.deleted), "deleted out of the trash"),
        (done.swept, "left behind by dead processes, swept away"),
        (done.attached, "notes and evaluations of versions that are gone for good, deleted"),
    ):
        if count:
            click.echo(f"{count} {what}")
    click.echo(f"{size(done.freed)} freed, {size(done.waiting)} waiting in the trash")
