"""``graftlm templates``: the words around what is said."""

from __future__ import annotations

import click

from graftlm.cli.lazy import LazyGroup

COMMANDS = {
    "list": ("graftlm.cli.templates.list:list_", "The prompt templates that there are"),
    "show": ("graftlm.cli.templates.show:show", "What a template makes of a conversation"),
    "render": ("graftlm.cli.templates.render:render", "Print messages as a template renders them, and nothing else"),
    "check": ("graftlm.cli.templates.check:check", "Compare templates with a model's own chat template"),
}


@click.group(cls=LazyGroup, commands_by_name=COMMANDS)
def templates() -> None:
    """The words around what is said: prompt templates."""
