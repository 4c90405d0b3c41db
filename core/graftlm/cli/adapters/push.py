"""``graftlm adapters push``."""

from __future__ import annotations

import click


@click.command()
@click.argument("name")
@click.argument("to")
@click.option("--name", "as_name", default="", metavar="NAME", help="What it is called there.  [default: as here]")
@click.option("--private", is_flag=True, help="Make a new hub repository private; refused where it is public.")
@click.option("--licence", default="", help="The adapter's licence, such as apache-2.0.  [default: the base's]")
@click.option("--notes", "with_notes", is_flag=True, help="Put the notes that were written on it onto its model card.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON, and nothing else.")
def push(name: str, to: str, as_name: str, private: bool, licence: str, with_notes: bool, as_json: bool) -> None:
    """Give NAME to others, with its record and a model card.

    TO is hf:OWNER/NAME on the Hugging Face hub, or a folder or URL that holds many adapters, such as
    /mnt/share/adapters or s3://BUCKET/adapters. There every version has a folder of its own, which is never changed.
    A hub repository holds one adapter: a newer version of it becomes the newest commit, and older ones stay in the
    history. Another adapter, or a newer version, is never replaced.
    """
    import json

    from graftlm.contracts.serial import to_builtins
    from graftlm.sharing.push import push as carry_out
    from graftlm_registry.plugins import registry

    from .moved import Moved

    with Moved("pushed", quiet=as_json) as moved:
        done = carry_out(
            name,
            to,
            registry(),
            as_name=as_name,
            private=private,
            licence=licence,
            with_notes=with_notes,
            on_bytes=moved.more,
        )
    if as_json:
        click.echo(json.dumps(to_builtins(done)))
        return
    click.echo(f"pushed {done.adapter} to {done.to}" if done.changed else f"{done.adapter} is at {done.to} already")
    click.echo(f"to get it elsewhere: graftlm adapters pull {done.to}")
    if done.local:
        click.echo(f"Note: its record names the base as it was named in training: {done.local}", err=True)
