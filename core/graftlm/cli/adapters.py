"""``graftlm adapters list|show|path``."""

from __future__ import annotations

import click


@click.group()
def adapters() -> None:
    """List and show the adapters that are kept."""


@adapters.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the records as a JSON list.")
def list_(as_json: bool) -> None:
    """Every version of every adapter."""
    from graftlm.contracts.serial import to_json
    from graftlm_registry.adapters import open_store

    records = list(open_store().records(lambda error: click.echo(f"Warning: {error}", err=True)))
    if as_json:
        click.echo(to_json(records))
        return
    if not records:
        click.echo("no adapters yet: graftlm train DATA --model M, or graftlm demo")
        return
    from .adapter_table import summary_table

    click.echo(summary_table(records))


@adapters.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
def show(name: str, as_json: bool) -> None:
    """The record of NAME (its newest version) or NAME@VERSION."""
    from graftlm.contracts.serial import to_json
    from graftlm_registry.adapters import open_store

    store = open_store()
    record = store.get(name)
    if as_json:
        click.echo(to_json(record))
        return
    from .adapter_table import record_text

    click.echo(record_text(record, store.path(record.reference)))


@adapters.command()
@click.argument("name")
def path(name: str) -> None:
    """The folder of NAME's files, as PeftModel.from_pretrained reads them. Do not write there."""
    from graftlm_registry.adapters import open_store

    click.echo(open_store().path(name))
