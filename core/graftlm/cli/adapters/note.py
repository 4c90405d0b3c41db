"""``graftlm adapters note``."""

from __future__ import annotations

import click


@click.command()
@click.argument("name")
@click.argument("text", required=False)
def note(name: str, text: str | None) -> None:
    """Write a note on NAME; without TEXT, show its notes."""
    from graftlm_registry.adapters import open_store

    from ..terminal import visible

    store = open_store()
    reference = store.get(name).reference
    if text is not None:
        store.note(reference, text)
        click.echo(f"noted on {reference}")
        return
    found = store.notes(reference)
    for each in found:
        click.echo(f"{each.created[:16].replace('T', ' ')}  {visible(each.text)}")
    if not found:
        click.echo(f"no notes on {reference}")
