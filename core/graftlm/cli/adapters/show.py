"""``graftlm adapters show``."""

from __future__ import annotations

import click


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
def show(name: str, as_json: bool) -> None:
    """The record of NAME (its newest version), NAME@VERSION or NAME@TAG."""
    from graftlm.contracts.serial import to_json
    from graftlm_registry.adapters import open_store

    store = open_store()
    record = store.get(name)
    if as_json:
        click.echo(to_json(record))
        return
    from graftlm.judging.evaluating import kept_evaluations

    from .record_text import evaluations_text, record_text

    tags = [tag for tag, version in store.tags(record.name).items() if version == record.version]
    click.echo(record_text(record, store.path(record.reference), tags, store.notes(record.reference)))
    found = kept_evaluations(record.reference, lambda error: click.echo(f"Warning: {error}", err=True))
    if found:
        click.echo(f"\n{evaluations_text(found)}")
