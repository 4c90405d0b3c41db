"""``graftlm runs show``."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def show(run: str, as_json: bool) -> None:
    """What RUN is, how far it is, how it ended and why, and what it can be gone on from."""
    from graftlm.running.account import account
    from graftlm_registry.runs import find_run

    found = account(find_run(run))
    if as_json:
        click.echo(json.dumps(found.as_json()))
        return
    from .account_text import account_text

    click.echo(account_text(found))
