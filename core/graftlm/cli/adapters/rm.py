"""``graftlm adapters rm``."""

from __future__ import annotations

import click


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--all", "every", is_flag=True, help="All versions of each NAME.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(names: tuple[str, ...], every: bool, yes: bool) -> None:
    """Remove the newest version of NAME, NAME@VERSION, or with --all every version.

    Nothing is deleted: 'adapters restore' brings it back. 'store gc' deletes its files, 14 days after the first gc
    that finds them. Its number is never given to another adapter.
    """
    from graftlm.contracts.errors import UsageError
    from graftlm_registry.adapters import open_store

    store = open_store()
    found = []
    for name in names:
        record = store.get(name)
        if every and "@" in name:
            raise UsageError(f"--all: give {record.name}, without a version")
        versions = store.versions(record.name).kept if every else [record.version]
        found += [f"{record.name}@{version}" for version in versions]
    found = list(dict.fromkeys(found))
    if not yes:
        click.confirm(f"remove {', '.join(found)}?", abort=True, err=True)
    for reference in found:
        store.remove(reference)
        click.echo(f"removed {reference} (graftlm adapters restore {reference} brings it back)")
