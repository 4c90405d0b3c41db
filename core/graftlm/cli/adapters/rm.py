"""``graftlm adapters rm``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from graftlm_registry.adapters import AdapterStore


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

    from ..asking import ask_first

    store = open_store()
    found = []
    for name in names:
        bare, version = store.resolve(name)  # no record is read: a damaged one can be removed
        if every and "@" in name:
            raise UsageError(f"--all: give {bare}, without a version")
        kept = store.versions(bare).kept
        if version not in kept:
            store.get(name)  # says why it is not there
        found += [f"{bare}@{number}" for number in (kept if every else [version])]
    found = list(dict.fromkeys(found))
    _check_untagged(store, found)
    if not yes:
        ask_first(f"remove {', '.join(found)}?", "nothing was removed")
    for reference in found:
        readable = store.has(reference)
        store.remove(reference)
        back = f"graftlm adapters restore {reference} brings it back" if readable else "its record cannot be read"
        click.echo(f"removed {reference} ({back})")


def _check_untagged(store: AdapterStore, references: Sequence[str]) -> None:
    """Before any of them is removed: half of what was asked for helps nobody."""
    from graftlm.contracts.errors import UsageError

    tagged = []
    for name in dict.fromkeys(reference.partition("@")[0] for reference in references):
        tagged += [(f"{name}@{version}", tag) for tag, version in store.tags(name).items()]
    if held := [f"{reference} is tagged '{tag}'" for reference, tag in tagged if reference in references]:
        raise UsageError(
            f"{', '.join(held)}, and nothing was removed: give a tag to another version, or take it away with "
            "'graftlm adapters tag NAME TAG --remove'"
        )
