"""``graftlm store``: the store as a whole."""

from __future__ import annotations

import click

from graftlm.cli.lazy import LazyGroup

COMMANDS = {
    "info": ("graftlm.cli.store.info:info", "Where it is, and what it holds"),
    "verify": ("graftlm.cli.store.verify:verify", "Compare every byte with what was written"),
    "gc": ("graftlm.cli.store.gc:gc", "Throw away what no adapter needs any more"),
    "migrate": ("graftlm.cli.store.migrate:migrate", "Bring a store of an earlier graftlm up to date"),
}


@click.group(cls=LazyGroup, commands_by_name=COMMANDS)
def store() -> None:
    """The store of adapters as a whole: what it holds, whether it is sound, and what can be thrown away."""
