"""``graftlm adapters push``."""

from __future__ import annotations

import click


@click.command()
@click.argument("name")
@click.argument("to")
@click.option("--name", "as_name", default="", metavar="NAME", help="What it is called there.  [default: as here]")
@click.option("--private", is_flag=True, help="Make a new hub repository private.")
@click.option("--licence", default="", help="The adapter's licence, such as apache-2.0.  [default: the base's]")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON, and nothing else.")
def push(name: str, to: str, as_name: str, private: bool, licence: str, as_json: bool) -> None:
    """Give NAME to others, with its record and a model card.

    TO is hf:OWNER/NAME on the Hugging Face hub, or a folder or URL that holds many adapters, such as
    /mnt/share/adapters or s3://BUCKET/adapters. What was pushed there is never changed.
    """
    import json

    from graftlm.contracts.serial import to_builtins
    from graftlm.sharing.push import push as carry_out
    from graftlm_registry.plugins import registry

    from .moved import Moved

    with Moved("pushed", quiet=as_json) as moved:
        done = carry_out(name, to, registry(), as_name=as_name, private=private, licence=licence, on_bytes=moved.more)
    if as_json:
        click.echo(json.dumps(to_builtins(done)))
        return
    click.echo(f"pushed {done.adapter} to {done.to}" if done.changed else f"{done.adapter} is at {done.to} already")
    click.echo(f"to get it elsewhere: graftlm adapters pull {done.to}")
    if done.local:
        click.echo(f"Note: its record names the base as it was named in training: {done.local}", err=True)
