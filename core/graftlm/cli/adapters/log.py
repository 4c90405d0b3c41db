"""``graftlm adapters log``."""

from __future__ import annotations

import click


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the graph as JSON: versions, and their parents.")
def log(name: str, as_json: bool) -> None:
    """The versions of NAME, the newest first, and below each what it comes from.

    With NAME@VERSION, that version alone.
    """
    from graftlm.contracts.serial import to_json
    from graftlm_registry.adapters import open_store
    from graftlm_registry.adapters.lineage import lineage
    from graftlm_registry.adapters.references import read_reference

    store = open_store()
    asked = read_reference(name)
    if asked.version or asked.tag:
        wanted = [store.get(name).reference]
    else:
        known = store.versions(asked.name)
        if not known.kept and not known.removed:
            store.get(name)  # says what is near
        wanted = [f"{asked.name}@{number}" for number in sorted((*known.kept, *known.removed), reverse=True)]
    graph = lineage(store, wanted)
    if as_json:
        click.echo(to_json(list(graph.values())))
        return
    from .log_graph import draw

    click.echo("\n".join(draw(graph, wanted)))
