"""``graftlm store info``."""

from __future__ import annotations

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def info(as_json: bool) -> None:
    """Where the store is, and what it holds."""
    from graftlm.contracts.serial import to_builtins, to_json
    from graftlm_registry.adapters import open_store
    from graftlm_registry.adapters.contents import contents
    from graftlm_registry.adapters.layout import explained

    from ..tables import size, table

    layout = open_store().layout
    with explained(layout.root):
        found = contents(layout)
    if as_json:
        click.echo(to_json(to_builtins(found)))
        return
    if not layout.root.exists():
        click.echo("there is no store yet")
        return
    click.echo(
        table(
            [
                ("store", found.root),
                ("layout", str(found.layout)),
                ("adapters", f"{found.names} names, {found.versions} versions, {found.removed} removed"),
                ("on", ", ".join(f"{base} ({count})" for base, count in found.bases.items()) or "no base"),
                ("files", f"{found.objects} adapters' files, {size(found.object_bytes)}"),
                ("tags", str(found.tags)),
                ("evaluations", f"{found.evaluations}, {size(found.evaluation_bytes)}"),
                ("in the trash", f"{found.thrown}, {size(found.thrown_bytes)}"),
                ("being written", f"{found.staged} (left behind by dead processes: {found.left_behind})"),
            ]
        )
    )
