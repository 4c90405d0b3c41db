"""``graftlm store migrate``."""

from __future__ import annotations

import click


@click.command()
def migrate() -> None:
    """Bring a store of an earlier graftlm up to date. It can be stopped anywhere, and run again."""
    from graftlm_registry.adapters import open_store
    from graftlm_registry.adapters.layout import LAYOUT, explained
    from graftlm_registry.adapters.migrating import migrate as carry_out

    layout = open_store().layout
    if not layout.root.exists():
        click.echo("there is no store yet")
        return
    with explained(layout.root):
        done = carry_out(layout)
    if done.before == LAYOUT:
        click.echo(f"{layout.root} has layout {LAYOUT} already")
        return
    click.echo(
        f"{layout.root} has layout {LAYOUT} now, and had {done.before}: {done.records} records and {done.folders} "
        "folders were given checksums"
    )
