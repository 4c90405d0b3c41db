"""``graftlm adapters tag``."""

from __future__ import annotations

import click


@click.command()
@click.argument("name")
@click.argument("tag", required=False)
@click.option("--remove", is_flag=True, help="Take the tag away.")
def tag(name: str, tag: str | None, remove: bool) -> None:
    """Give NAME, NAME@VERSION or NAME@OTHER the TAG; without one, show the tags.

    A tag is on one version of a name, and moves when it is given again. It can stand wherever a version can:
    NAME@TAG.
    """
    from graftlm.contracts.errors import UsageError
    from graftlm_registry.adapters import open_store

    store = open_store()
    if tag is None:
        if remove:
            raise UsageError("--remove: which tag?")
        record = store.get(name)
        for each, number in store.tags(record.name).items():
            click.echo(f"{each}  {record.name}@{number}")
        return
    if remove:
        store.untag(name, tag)
        click.echo(f"{name.partition('@')[0]} has no tag '{tag}' any more")
        return
    given = store.tag(name, tag)
    bare, _, version = given.reference.partition("@")
    moved = f", and {bare}@{given.before} no more" if given.before not in (None, int(version)) else ""
    click.echo(f"{given.reference} is tagged '{tag}'{moved}: use it as {bare}@{tag}")
