"""``graftlm adapters restore``."""

from __future__ import annotations

import click


@click.command()
@click.argument("name")
def restore(name: str) -> None:
    """Bring NAME@VERSION back after 'adapters rm'; without a version, the one that had the highest number."""
    from graftlm_registry.adapters import open_store

    click.echo(f"{open_store().restore(name).reference} is back")
