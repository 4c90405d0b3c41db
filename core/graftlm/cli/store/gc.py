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
@click.option("--yes", is_flag=True, help="Do not ask, where DAYS is less than 1.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def gc(grace: float, yes: bool, as_json: bool) -> None:
    """Throw away what no adapter needs any more: files of removed versions, and what dead processes left behind.

    Files go to the trash first, and are deleted DAYS later, by a gc that is run then. Adapters can be published at the
    same time.
    """
    from datetime import timedelta

    from graftlm.contracts.serial import to_builtins, to_json
    from graftlm_registry.adapters import open_store
    from graftlm_registry.adapters.collecting import Collected, collect
    from graftlm_registry.adapters.layout import explained

    from ..asking import ask_first
    from ..tables import size

    store = open_store()
    if not store.root.exists():
        none = Collected(thrown=(), deleted=(), restored=(), swept=0, attached=0, freed=0, waiting=0)
        click.echo(to_json(to_builtins(none)) if as_json else "there is no store yet")
        return
    if grace < 1 and not yes:
        ask_first("delete the files of removed adapters, which cannot be restored then?", "nothing was deleted")
    store.prepare()
    with explained(store.root):
        done = collect(store.layout, timedelta(days=grace))
    if as_json:
        click.echo(to_json(to_builtins(done)))
        return
    for count, what in (
        (len(done.restored), "files of {} put back, as a record names them"),
        (len(done.thrown), f"files of {{}} thrown into the trash, which keeps them for {grace:g} days"),
        (len(done.deleted), "files of {} deleted out of the trash"),
    ):
        if count:
            click.echo(what.format("1 adapter" if count == 1 else f"{count} adapters"))
    if done.swept:
        click.echo(f"{done.swept} left behind by dead processes, swept away")
    if done.attached:
        click.echo(f"notes and evaluations of versions that are gone for good, deleted: {done.attached} folders")
    click.echo(f"{size(done.freed)} freed, {size(done.waiting)} waiting in the trash")
