"""``graftlm adapters list``."""

from __future__ import annotations

import click


@click.command("list")
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
    from .record_text import summary_table

    click.echo(summary_table(records))
