"""``graftlm models``: the base models that are known, and what each takes."""

from __future__ import annotations

import click

from graftlm.cli.lazy import LazyGroup

COMMANDS = {
    "list": ("graftlm.cli.models.list:list_", "The models that are known, and which fit in your memory"),
    "show": ("graftlm.cli.models.show:show", "One model: its sizes, its licence, and what training it takes"),
}


@click.group(cls=LazyGroup, commands_by_name=COMMANDS)
def models() -> None:
    """The base models that are known: those that come with graftlm, and shapes of well-known ones."""
