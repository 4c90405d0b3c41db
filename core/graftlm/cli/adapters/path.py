"""``graftlm adapters path``."""

from __future__ import annotations

import click


@click.command()
@click.argument("name")
def path(name: str) -> None:
    """The folder of NAME's files, as PeftModel.from_pretrained reads them. Do not write there."""
    from graftlm_registry.adapters import open_store

    store = open_store()
    record = store.get(name)
    click.echo(store.path(record.reference))
    if record.kind == "overlay":
        click.echo("Warning: these are weights of the base, no PEFT adapter; 'adapters merge' makes a model", err=True)
    elif record.load.rope is not None:
        click.echo(f"Warning: PEFT does not scale RoPE by itself: load the base with {record.load.rope}", err=True)
