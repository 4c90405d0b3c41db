"""``graftlm adapters``: what is kept, and what can be done with it."""

from __future__ import annotations

import click

from graftlm.cli.lazy import LazyGroup

COMMANDS = {
    "list": ("graftlm.cli.adapters.list:list_", "Every version of every adapter, or those that are asked for"),
    "show": ("graftlm.cli.adapters.show:show", "All that is known of one"),
    "path": ("graftlm.cli.adapters.path:path", "The folder of its files"),
    "merge": ("graftlm.cli.adapters.merge:merge", "Write it and its base as one model"),
}


@click.group(cls=LazyGroup, commands_by_name=COMMANDS)
def adapters() -> None:
    """Find, compare, combine and move the adapters that are kept.

    NAME is the newest version of an adapter, NAME@3 its third, and NAME@TAG the one that has the tag.
    """
