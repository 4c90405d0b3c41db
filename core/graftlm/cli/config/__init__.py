"""``graftlm config``: files of runs."""

from __future__ import annotations

import click

from graftlm.cli.open_group import OpenGroup

COMMANDS = {"keys": ("graftlm.cli.config.keys:keys", "Every key of a run's file, with its default")}


@click.group(cls=OpenGroup, commands_by_name=COMMANDS, noun="config", listed=True)
def config() -> None:
    """The keys of a run's file; plugins turn other tools' files into one."""
