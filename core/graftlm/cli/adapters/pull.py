"""``graftlm adapters pull``."""

from __future__ import annotations

import click


@click.command()
@click.argument("source", metavar="FROM")
@click.option("--name", default="", help="What it is called here.  [default: as there]")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON, and nothing else.")
def pull(source: str, name: str, as_json: bool) -> None:
    """Get an adapter that was pushed or exported, with its record.

    FROM is hf:OWNER/NAME[@REVISION], or the folder or URL of an adapter: PLACE/NAME for its newest version there,
    PLACE/NAME/2 for another one. Every file is checked before it is kept.
    """
    from graftlm.contracts.serial import to_json
    from graftlm.sharing.pull import pull as carry_out
    from graftlm_registry.plugins import registry

    from ..progress import Progress
    from .moved import Moved

    with Progress(quiet=as_json) as progress, Moved("pulled", quiet=as_json) as moved:
        done = carry_out(source, registry(), progress.on_event, name=name, on_bytes=moved.more)
    if as_json:
        click.echo(to_json(done.record))
        return
    kept = "kept as" if done.new else "it is here already as"
    other = done.version not in (None, done.record.version)
    there = f" (it is version {done.version} there)" if other else ""
    click.echo(f"pulled {done.source}: {kept} {done.record.reference}{there}, for {done.record.base.name}")
    click.echo(f'try it: graftlm generate {done.record.reference} "Hello!"')
