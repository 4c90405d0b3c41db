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
        found = store.tags(record.name)
        for each, number in found.items():
            click.echo(f"{each}  {record.name}@{number}")
        if not found:
            click.echo(f"no tags on {record.name}")
        return
    if remove:
        bare, at, _ = name.partition("@")
        if at:  # of that version only
            _, asked = store.resolve(name)
            has = store.tags(bare).get(tag, asked)
            if has != asked:
                raise UsageError(f"'{tag}' is on {bare}@{has}, not on {bare}@{asked}")
        store.untag(name, tag)
        click.echo(f"{bare} has no tag '{tag}' any more")
        return
    given = store.tag(name, tag)
    bare, _, version = given.reference.partition("@")
    moved = f", and {bare}@{given.before} no more" if given.before not in (None, int(version)) else ""
    click.echo(f"{given.reference} is tagged '{tag}'{moved}: use it as {bare}@{tag}")
